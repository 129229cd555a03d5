//! `GET /changes.csv`: the rows that differ between two versions, for spreadsheets.

use std::sync::Arc;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use datalake_core::{
    calendar::Ages,
    csv::{self, Escape},
    dataset::Dataset,
    query::{column::Column, error::QueryError},
    row::RowView,
};
use utoipa::IntoParams;

use crate::{
    problem::{Problem, responses::ReadProblems},
    request::{
        data_query::{ESCAPE, parse_escape},
        parameters::QueryParameters,
        query_string::QueryString,
        selected_snapshot::NewestVersionParameters,
        table_read::NewestRead,
        version_reader::VersionReader,
    },
    routes::{
        changes::{Changes, ChangesParameters, Span, kind},
        openapi::schemas::EscapeDocument,
    },
};

/// The query of `/changes.csv`.
#[derive(Debug)]
pub(crate) struct ChangesCsvQuery {
    span: Span,
    escape: Escape,
}

impl QueryParameters for ChangesCsvQuery {
    fn parse(_: &Dataset, query: &QueryString, _: &str, _: &[&'static str]) -> Result<Self, QueryError> {
        query.check_newest(&["since", "until", ESCAPE, "min_version", "wait"])?;
        Ok(Self {
            span: Span::parse_ascending(query)?,
            escape: query.get(ESCAPE).map(parse_escape).transpose()?.unwrap_or_default(),
        })
    }
}

/// The additional parameter of `/changes.csv`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`ChangesCsvQuery` parses the parameter; this describes it")]
pub(crate) struct EscapeParameters {
    /// Which cells are escaped. `spreadsheet` adds a `'` to text that a spreadsheet would evaluate.
    #[param(example = "spreadsheet")]
    escape: Option<EscapeDocument>,
}

/// Export changes as CSV
///
/// Returns the rows that differ between two versions, ordered by `user_id`. A row that was added or removed has one line, and a row that
/// was updated has two: `type` is `insert`, `update` or `delete`, and `state` is `before` or `after`.
#[utoipa::path(
    get,
    path = "/changes.csv",
    operation_id = "exportChanges",
    tag = "data",
    params(ChangesParameters, EscapeParameters, NewestVersionParameters),
    responses(ReadProblems, (status = 200, description = "The changes", body = String, content_type = "text/csv", headers(
        ("datalake-version" = u64, description = "The later version"),
    )))
)]
pub(crate) async fn export(NewestRead(query, read_at): NewestRead<ChangesCsvQuery>, versions: VersionReader) -> Result<Response, Problem> {
    let ChangesCsvQuery { span, escape } = query;
    let changes = Changes::between(&span, read_at, versions).await?;
    // No stored column depends on the day.
    let ages = Ages::on(changes.read_at.day(None));
    let dataset = Arc::clone(changes.read_at.snapshot.dataset());
    let columns: Vec<Column> = Column::stored(&dataset).collect();
    let mut header = "type,state,".to_owned();
    csv::push_header(&mut header, &dataset, &columns);
    let body = changes.body(header, move |bytes, change| {
        let mut push = |state: &str, row: Option<RowView<'_>>| {
            let Some(row) = row else { return };
            let mut line = format!("{},{state},", kind(&change));
            csv::push_escaped_line(&mut line, &row, &columns, ages, escape);
            bytes.extend_from_slice(line.as_bytes());
        };
        push("before", change.before);
        push("after", change.after);
    });
    let content_type = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    Ok((changes.read_at.freshness_headers(), content_type, body).into_response())
}
