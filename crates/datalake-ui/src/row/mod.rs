//! One row: its values and files, the provenance of each value, rejected sources, and the history of the row.

mod history;
pub(crate) mod model;
pub(crate) mod provenance;
pub(crate) mod rejects;
mod view;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::calendar::Ages;
use datalake_core::row_id::{RowId, shown};
use datalake_table::delta::history::RowHistory;
use tokio::time::timeout_at;

use crate::{
    components::row::Row,
    page::{context::PageContext, html_page::HtmlPage, layout::View, query::Query},
    row::model::RowPage,
};
use datalake_api::{
    limits::requests::StoreReadPermit,
    problem::{MissingRow, Problem},
    request::{data_query::RowRequest, path::PathRowId, selected_snapshot::SelectedSnapshot, table_read::TableRead},
    routes::{
        explain::Explanation,
        history::{HistoryDocument, load as load_history},
    },
    snapshots::{versions::Versions, watch::TableState},
};

/// The page. An ID without a row, but with a rejected source or a history, has a page with the API's status for the row.
pub(crate) async fn show(
    context: PageContext,
    PathRowId(user_id): PathRowId,
    TableRead(RowRequest { query, .. }, read_at): TableRead<RowRequest>,
    _: StoreReadPermit,
    State(versions): State<Versions>,
) -> Result<Response, Problem> {
    let (explanation, history) = load(&context, &user_id, &read_at, &versions).await;
    let day = read_at.day(query.on);
    let version = read_at.snapshot.version().number();
    let latest = context.latest_version().map_or(version, |latest| latest.max(version));
    let stored = read_at.snapshot.row(user_id.as_str());
    let row = stored.map(|row| Row::of(row, Ages::on(day), version, latest));
    if let (None, Err(missing @ Problem::NoSuchRow(_)), Err(Problem::NoSuchRow(_))) = (&row, &explanation, &history) {
        return Err(missing.clone());
    }
    let has_row = row.is_some();
    let neighbors = read_at.snapshot.neighbors(user_id.as_str());
    let shown_id = user_id.to_string();
    let page = RowPage {
        dataset: read_at.snapshot.dataset(),
        id: &shown_id,
        row,
        neighbors: neighbors.map(|neighbor| neighbor.map(|row| shown(row.row_id).into_owned())),
        time_travel: Query::of_address(&context.address).time_travel(),
        day,
        version,
        latest,
        explanation: explanation.as_ref().map(Explanation::document),
        history: history.as_ref().map(|history| HistoryDocument::new(&user_id, history)),
        origin: &context.origin,
        now: context.now,
    };
    let title = page.title();
    let page = HtmlPage(context.frame(View::Row, &title).page(&view::markup(&page)));
    if has_row {
        return Ok((read_at.freshness_headers(), page).into_response());
    }
    let status = Problem::NoSuchRow(MissingRow::of(read_at.snapshot.dataset())).status();
    Ok((status, read_at.freshness_headers(), page).into_response())
}

/// The parts that are read from the store. The history is that of the latest version, as in the API. A store that does not respond in time does
/// not delay the row, which is in memory.
async fn load(
    context: &PageContext,
    user_id: &RowId,
    read_at: &SelectedSnapshot,
    versions: &Versions,
) -> (Result<Explanation, Problem>, Result<RowHistory, Problem>) {
    let latest = match &context.lake.table.state {
        TableState::Loaded(latest) => latest,
        TableState::Missing | TableState::Loading => &read_at.snapshot,
    };
    let deadline = context.deadline();
    let explanation = timeout_at(deadline, Explanation::load(user_id.clone(), &read_at.snapshot, versions));
    let history = timeout_at(deadline, load_history(user_id, latest, versions));
    let (explanation, history) = tokio::join!(explanation, history);
    (
        explanation.unwrap_or(Err(Problem::StoreUnavailable)),
        history.unwrap_or(Err(Problem::StoreUnavailable)),
    )
}
