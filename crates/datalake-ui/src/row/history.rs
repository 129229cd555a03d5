//! The history of a row, version by version.

use std::borrow::Cow;

use datalake_core::{
    dataset::{Dataset, ValueRef},
    query::column as data,
};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{counted, relative_time, truncate},
        row::TEXT_BYTES_MAX,
        run, stored_values,
        table::{self, Column, ColumnType},
        value,
    },
    page::{api_address::ApiAddress, links, query::Query},
    row::{model::RowPage, provenance::unavailable},
};
use datalake_api::{
    problem::Problem,
    routes::{
        history::{HistoryDocument, StateDocument},
        row_document::StoredRowDocument,
    },
};

/// How many states the page shows: a month of daily changes. The API returns all of them.
const STATES_MAX: usize = 30;

/// The columns of each state around those of the values.
const VERSION: Column = Column::new("Version", ColumnType::Title);
const CHANGE: Column = Column::new("Change", ColumnType::Badge);
const COMMITTED: Column = Column::new("Committed", ColumnType::Word);
const RUN: Column = Column::new("Run", ColumnType::Word);

pub(crate) fn card(page: &RowPage<'_>) -> Markup {
    let history = &page.history;
    html! {
        section.card #history aria-labelledby="history-title" {
            header {
                h2 #history-title { "History" }
                @if let Ok(history) = history {
                    span.small.muted { (counted(datalake_core::count::count(history.count), "state", "states")) ", latest first" }
                }
            }
            @match history {
                Ok(history) => {
                    (states(page.dataset, history, &page.time_travel, page.now))
                    @if history.states.len() > STATES_MAX { p #more-states { "The latest " (STATES_MAX) " states are shown." } }
                    p.small.muted #history-ends data-ends=(history.ends) { (ends(history)) }
                }
                Err(Problem::NoSuchRow(_)) => p.muted { "No history found for this " (page.dataset.entity()) "." },
                Err(problem) => (unavailable(problem)),
            }
            (components::api_request("history-api", page.origin, &ApiAddress::new(format!("/data/{}/history", page.id))))
        }
    }
}

fn states(dataset: &Dataset, history: &HistoryDocument<'_>, time_travel: &Query, now: Timestamp) -> Markup {
    let path = links::row(&history.user_id);
    let href = |version: u64| {
        let query = time_travel.without(&["as_of"]).with("version", &version.to_string());
        query.address(&path)
    };
    let rows = || history.states.iter().take(STATES_MAX).filter_map(|state| state.row.as_ref());
    let differs = |column| {
        let mut values = rows().map(|row| stored_values::value(row.0, dataset, column));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let values = stored_values::columns(dataset, differs);
    let labels = stored_values::labels(dataset, &values);
    let values: Vec<_> = { values.iter().zip(&labels) }
        .map(|(column, label)| (*column, stored_values::table_column(dataset, *column, label)))
        .collect();
    let columns = { [VERSION, CHANGE, COMMITTED].into_iter() }
        .chain(values.iter().map(|(_, column)| *column))
        .chain([RUN]);
    let older = history.states.iter().skip(1).map(Some).chain([None]);
    components::scroll(
        "History of the row",
        &html! {
            table.cards {
                caption.visually-hidden { "The states of the row. Differences from the previous state are marked." }
                (table::head(&columns.collect::<Vec<_>>()))
                tbody {
                    @for (state, older) in history.states.iter().zip(older).take(STATES_MAX) { (row(dataset, &values, &href(state.version), state, older, now)) }
                }
            }
        },
    )
}

fn row(
    dataset: &Dataset,
    values: &[(data::Column, Column<'_>)],
    href: &str,
    state: &StateDocument<'_>,
    older: Option<&StateDocument<'_>>,
    now: Timestamp,
) -> Markup {
    let (class, label) = change(state.change);
    html! {
        tr data-version=(state.version) data-change=[state.change] {
            (VERSION.cell(&html! {
                span.in-card { "Version " }
                @if state.row.is_some() { a href=(href) { (state.version) } } @else { (state.version) }
            }))
            (CHANGE.cell(&html! { span class={ "badge " (class) } { (label) } }))
            (COMMITTED.cell(&relative_time(state.committed_at, now)))
            @match &state.row {
                Some(row) => {
                    @let previous = older.filter(|older| older.row.is_some());
                    @for (column, cell) in values { (cell.cell(&value(dataset, *column, state, row, previous))) }
                }
                None if values.is_empty() => {}
                None => td.muted colspan=(values.len()) { "no row" },
            }
            (RUN.cell(&html! { @if let Some(run_id) = state.run_id { (run::link(run_id)) } @else { span.muted { "another engine" } } }))
        }
    }
}

/// The value of a column, marked if it differs from that of the previous state. Texts are shown in their own direction.
fn value<'a>(
    dataset: &Dataset,
    column: data::Column,
    state: &StateDocument<'a>,
    row: &StoredRowDocument<'_>,
    previous: Option<&StateDocument<'a>>,
) -> Markup {
    if let data::Column::File(index) = column {
        let name = &dataset.files()[index].name;
        let before = previous.map(|previous| previous.file_etag(name));
        let shown = file(state.file_etag(name), before.flatten());
        return marked(shown, before.map(|before| file(before, None)));
    }
    let current = stored_values::value(row.0, dataset, column);
    let previous_row = previous.and_then(|previous| previous.row.as_ref());
    let before = previous_row.and_then(|row| stored_values::value(row.0, dataset, column));
    let shown = |text: Option<Cow<'_, str>>| text.map_or_else(|| "–".to_owned(), Cow::into_owned);
    let [text_before, text] = value::compared(before, current).map(shown);
    let shown = marked(&text, previous_row.map(|_| text_before.as_str()));
    html! { @match current { Some(ValueRef::Text(_)) => bdi { (shown) }, _ => (shown) } }
}

/// A value, marked if it differs from the previous one.
fn marked(value: &str, previous: Option<&str>) -> Markup {
    html! {
        @let shown = truncate(value, TEXT_BYTES_MAX);
        @if previous.is_none_or(|previous| previous == value) { (shown) } @else { ins { (shown) } }
    }
}

/// Whether there is a file, by its ETag and that of the previous state. A replaced file counts as a change.
fn file(etag: Option<&str>, before: Option<&str>) -> &'static str {
    match (etag, before) {
        (None, _) => "none",
        (Some(etag), Some(previous)) if etag != previous => "replaced",
        (Some(_), _) => "yes",
    }
}

fn change(change: Option<&str>) -> (&'static str, &'static str) {
    match change {
        Some("insert") => ("success", "added"),
        Some("update") => ("", "changed"),
        Some("delete") => ("warning", "removed"),
        _ => ("", "initial"),
    }
}

/// How far back the history goes, and why not further.
fn ends(history: &HistoryDocument<'_>) -> String {
    let oldest = history.oldest;
    match history.ends {
        "first_version" => "The history goes back to the first version of the table.".to_owned(),
        "log_expired" => format!("The history goes back to version {oldest}: older log entries have expired."),
        "files_expired" => format!("The history goes back to version {oldest}: data files are kept for one week after they are replaced."),
        _ => format!("The history goes back to version {oldest}: older history was not scanned."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_marked(value: &str, previous: Option<&str>, expected: &str) {
        assert_eq!(marked(value, previous).into_string(), expected);
    }

    #[test]
    fn different_value_is_marked() {
        check_marked("Ada", None, "Ada");
        check_marked("Ada", Some("Ada"), "Ada");
        check_marked("<Ada>", Some("Bea"), "<ins>&lt;Ada&gt;</ins>");
    }
}
