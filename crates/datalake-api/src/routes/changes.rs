//! `GET /changes`: the rows that differ between two versions, one per line.

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use datalake_core::{
    dataset::Dataset,
    query::{as_of::parse_version, error::QueryError},
};
use datalake_table::memory::difference::{Change, Difference};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::task::JoinError;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    limits::scan_pool::ScanPool,
    problem::{Problem, responses::ReadProblems},
    request::{
        parameters::QueryParameters, query_string::QueryString, selected_snapshot::NewestVersionParameters, table_read::NewestRead,
        version_reader::VersionReader,
    },
    routes::{openapi_schemas::lines_of, row_document::StoredRowDocument},
};

/// Large enough to make the overhead of a chunk negligible, small enough that a slow client occupies little memory.
const CHUNK_BYTES: usize = 64 * 1024;

/// A row that differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
struct ChangeDocument<'a> {
    /// `insert`, `update` or `delete`.
    #[serde(rename = "type")]
    #[schema(example = "update")]
    kind: &'static str,
    /// The user's ID.
    #[schema(example = "1000")]
    user_id: &'a str,
    /// The row at `since`; null for an insert.
    #[schema(required)]
    before: Option<StoredRowDocument<'a>>,
    /// The row at `until`; null for a delete.
    #[schema(required)]
    after: Option<StoredRowDocument<'a>>,
}

/// Describes changes as NDJSON.
#[derive(Debug)]
struct ChangeLines;

impl PartialSchema for ChangeLines {
    fn schema() -> RefOr<Schema> {
        lines_of("Changes as NDJSON: one JSON object per line.", "Change")
    }
}

impl ToSchema for ChangeLines {
    fn name() -> Cow<'static, str> {
        "ChangeLines".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ChangeDocument::name().into_owned(), ChangeDocument::schema()));
        ChangeDocument::schemas(schemas);
    }
}

impl<'a> From<Change<'a>> for ChangeDocument<'a> {
    fn from(Change { before, after }: Change<'a>) -> Self {
        Self {
            kind: match (before, after) {
                (None, _) => "insert",
                (Some(_), Some(_)) => "update",
                (Some(_), None) => "delete",
            },
            user_id: after.or(before).map_or("", |row| row.user_id),
            before: before.map(StoredRowDocument),
            after: after.map(StoredRowDocument),
        }
    }
}

/// The parameters of `/changes`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`Span` parses the parameters; this describes them")]
pub struct ChangesParameters {
    /// The earlier version.
    #[param(example = 0)]
    since: u64,
    /// The later version, not less than `since`; the latest by default.
    #[param(example = 0)]
    until: Option<u64>,
}

/// Two versions.
#[derive(Debug)]
pub struct Span {
    /// The version `since`.
    pub since: u64,
    /// The version `until`; the latest if none.
    pub until: Option<u64>,
}

impl Span {
    /// Parses two versions in any order.
    pub fn parse(query: &QueryString) -> Result<Self, QueryError> {
        query.check_newest(&["since", "until", "min_version", "wait"])?;
        let since = query
            .get("since")
            .ok_or_else(|| QueryError::value("since", "is required: the version after which changes are listed"))?;
        let since = parse_version("since", since)?;
        let until = query.get("until").map(|until| parse_version("until", until)).transpose()?;
        Ok(Self { since, until })
    }
}

impl QueryParameters for Span {
    fn parse(_: &Dataset, query: &QueryString, _: &str, _: &[&'static str]) -> Result<Self, QueryError> {
        let span = Self::parse(query)?;
        if span.until.is_some_and(|until| until < span.since) {
            return Err(QueryError::value("until", "must not be less than since"));
        }
        Ok(span)
    }
}

/// List changes
///
/// Returns the rows that differ between two versions as one JSON object per line (`Change`), ordered by `user_id`, with the row before and
/// after. A change that a later version reverted is not included, and neither is an image that was replaced by another.
///
/// To follow the table, request `since=N&min_version=M&wait=30s` with M = N + 1, which waits for the next version, and continue with the
/// version in the header `datalake-version`.
#[utoipa::path(
    get,
    path = "/changes",
    operation_id = "listChanges",
    tag = "data",
    params(ChangesParameters, NewestVersionParameters),
    responses(
        ReadProblems,
        (status = 200, description = "The changes, one JSON object per line", body = ChangeLines, content_type = "application/x-ndjson", headers(
            ("datalake-version" = u64, description = "The later version"),
        )),
    )
)]
pub(crate) async fn list(
    NewestRead(Span { since, until }, read_at): NewestRead<Span>,
    versions: VersionReader,
) -> Result<Response, Problem> {
    let (newest, now) = (&read_at.snapshot, read_at.now());
    let after = match until {
        Some(until) => versions.at(until, newest, now).await?,
        None => Arc::clone(newest),
    };
    let before = versions.at(since, newest, now).await?;
    // A version may have been committed since the latest one was selected.
    if before.version().number() > after.version().number() {
        return Err(Problem::NoSuchVersion {
            newest: after.version().number(),
        });
    }
    if before.dataset() != after.dataset() {
        return Err(Problem::DatasetChanged {
            since: before.version().number(),
            until: after.version().number(),
        });
    }
    let difference = Difference::between(&before, &after);
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let body = Body::from_stream(lines(difference, read_at.scan_pool.clone()));
    Ok((read_at.with_snapshot(after).freshness_headers(), headers, body).into_response())
}

/// The changes as lines, which are computed while they are sent.
fn lines(difference: Difference, scan_pool: ScanPool) -> impl stream::Stream<Item = Result<Bytes, JoinError>> {
    let lines = stream::try_unfold((difference, scan_pool), async |(mut difference, scan_pool)| {
        // Millions of equal rows may be compared between two changes. An error aborts the response, because a regular end would make it
        // look complete.
        let chunk = scan_pool.scan_detached(move || (chunk(&mut difference), difference));
        let (bytes, difference) = chunk.await?;
        Ok((!bytes.is_empty()).then_some((bytes, (difference, scan_pool))))
    });
    // The compression polls once more after the end.
    lines.fuse()
}

/// The next lines; none at the end.
fn chunk(difference: &mut Difference) -> Bytes {
    let mut bytes = Vec::new();
    while bytes.len() < CHUNK_BYTES {
        let Some(change) = difference.next_change() else { break };
        serde_json::to_writer(&mut bytes, &ChangeDocument::from(change)).expect("writing strings and numbers to memory cannot fail");
        bytes.push(b'\n');
    }
    bytes.into()
}
