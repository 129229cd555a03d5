//! `GET /rejects.csv`: all rejected and ignored sources of a version, for spreadsheets.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use datalake_core::{
    csv::{Escape, push_field},
    dataset::Dataset,
    query::error::QueryError,
};
use datalake_table::memory::snapshot::Snapshot;
use futures_util::{StreamExt, stream};
use utoipa::IntoParams;

use crate::{
    problem::responses::ReadProblems,
    request::{
        data_query::{ESCAPE, parse_escape},
        parameters::QueryParameters,
        query_string::QueryString,
        selected_snapshot::TimeTravelParameters,
        table_read::TableRead,
    },
    routes::{
        openapi::schemas::EscapeDocument,
        rejects::{RejectDocument, RejectFilter},
    },
};

/// The columns: the fields of the JSON document, without `message` and `help`, which follow from other fields.
const COLUMNS: [&str; 14] = [
    "key",
    "user_id",
    "code",
    "kind",
    "column_name",
    "line",
    "column",
    "byte_offset",
    "excerpt",
    "found",
    "expected",
    "remedy",
    "since",
    "run_id",
];

/// The number of sources in one chunk of the body: about 250 KB.
const CHUNK_SOURCES: usize = 500;

/// The query of `/rejects.csv`.
#[derive(Debug)]
pub(crate) struct RejectsCsvQuery {
    filter: RejectFilter,
    escape: Escape,
}

/// The parameters of `/rejects.csv`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`RejectsCsvQuery` parses the parameters; this describes them")]
pub(crate) struct RejectsCsvParameters {
    /// Only the sources with this code.
    #[param(example = "type")]
    code: Option<String>,
    /// Only rejected sources, or only ignored objects.
    #[param(pattern = "^(rejected|ignored)$", example = "rejected")]
    kind: Option<String>,
    /// Which cells are escaped. `spreadsheet` adds a `'` to text that a spreadsheet would evaluate.
    #[param(example = "spreadsheet")]
    escape: Option<EscapeDocument>,
}

impl QueryParameters for RejectsCsvQuery {
    fn parse(_: &Dataset, query: &QueryString, _: &str, others: &[&'static str]) -> Result<Self, QueryError> {
        query.check_with(&["code", "kind", ESCAPE], others)?;
        Ok(Self {
            filter: RejectFilter::parse(query)?,
            escape: query.get(ESCAPE).map(parse_escape).transpose()?.unwrap_or_default(),
        })
    }
}

/// Export rejects as CSV
///
/// Returns all rejected and ignored sources that are listed at a version of the table, without pages. The columns are the fields of
/// `/rejects`.
#[utoipa::path(
    get,
    path = "/rejects.csv",
    operation_id = "exportRejects",
    tag = "data",
    params(RejectsCsvParameters, TimeTravelParameters),
    responses(ReadProblems, (status = 200, description = "The sources", body = String, content_type = "text/csv"))
)]
pub(crate) async fn export(TableRead(query, read_at): TableRead<RejectsCsvQuery>) -> Response {
    let snapshot = Arc::clone(&read_at.snapshot);
    let header = COLUMNS.join(",") + "\n";
    let chunks = stream::unfold((0, Some(header)), move |(start, header)| {
        let chunk = chunk(&snapshot, &query, start);
        async move {
            let text = match (header, chunk) {
                (None, None) => return None,
                (header, chunk) => header.unwrap_or_default() + &chunk.unwrap_or_default(),
            };
            Some((Ok::<_, Infallible>(text), (start + CHUNK_SOURCES, None)))
        }
    });
    let content_type = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    // The compression polls once more after the end.
    (read_at.freshness_headers(), content_type, Body::from_stream(chunks.fuse())).into_response()
}

/// The lines of the sources from `start` on; none after the last source.
fn chunk(snapshot: &Snapshot, query: &RejectsCsvQuery, start: usize) -> Option<String> {
    let sources = snapshot.rejects().get(start..).filter(|sources| !sources.is_empty())?;
    let listed = sources.iter().take(CHUNK_SOURCES).filter(|source| query.filter.matches(source));
    let mut text = String::new();
    for source in listed {
        push_line(&mut text, &RejectDocument::of(snapshot.dataset(), source), query.escape);
    }
    Some(text)
}

fn push_line(text: &mut String, reject: &RejectDocument<'_>, escape: Escape) {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let (line, column, byte_offset) = (
        number(reject.line.map(Into::into)),
        number(reject.column.map(Into::into)),
        number(reject.byte_offset),
    );
    let fields: [&str; COLUMNS.len()] = [
        reject.key,
        reject.user_id.as_deref().unwrap_or_default(),
        reject.code,
        reject.kind,
        reject.column_name.unwrap_or_default(),
        &line,
        &column,
        &byte_offset,
        reject.excerpt.unwrap_or_default(),
        &reject.found,
        &reject.expected,
        &reject.remedy,
        &reject.since,
        reject.run_id,
    ];
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_field(text, field, escape);
    }
    text.push('\n');
}
