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
    row_id::shown,
};
use datalake_table::memory::{
    difference::{Change, Difference},
    snapshot::Snapshot,
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::task::JoinError;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    problem::{Problem, responses::ReadProblems},
    request::{
        parameters::QueryParameters,
        query_string::QueryString,
        selected_snapshot::{NewestVersionParameters, SelectedSnapshot},
        table_read::NewestRead,
        version_reader::VersionReader,
    },
    routes::{openapi::schemas::lines_of, row_document::StoredRowDocument},
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
    /// The ID of the row.
    #[schema(example = "1000")]
    user_id: Cow<'a, str>,
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
    fn from(change: Change<'a>) -> Self {
        let Change { before, after } = change;
        Self {
            kind: kind(&change),
            user_id: after.or(before).map_or("".into(), |row| shown(row.row_id)),
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
        Self::parse_versions(query)
    }

    /// Parses two versions of which the second is the later one.
    pub(crate) fn parse_ascending(query: &QueryString) -> Result<Self, QueryError> {
        let span = Self::parse_versions(query)?;
        match span.until.is_some_and(|until| until < span.since) {
            true => Err(QueryError::value("until", "must not be less than since")),
            false => Ok(span),
        }
    }

    fn parse_versions(query: &QueryString) -> Result<Self, QueryError> {
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
        query.check_newest(&["since", "until", "min_version", "wait"])?;
        Self::parse_ascending(query)
    }
}

/// List changes
///
/// Returns the rows that differ between two versions as one JSON object per line (`Change`), ordered by ID, with the row before and
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
pub(crate) async fn list(NewestRead(span, read_at): NewestRead<Span>, versions: VersionReader) -> Result<Response, Problem> {
    let changes = Changes::between(&span, read_at, versions).await?;
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    let body = changes.body(String::new(), |bytes, change| {
        serde_json::to_writer(&mut *bytes, &ChangeDocument::from(change)).expect("writing strings and numbers to memory cannot fail");
        bytes.push(b'\n');
    });
    Ok((changes.read_at.freshness_headers(), headers, body).into_response())
}

/// The differences between two versions that a request names.
pub(crate) struct Changes {
    before: Arc<Snapshot>,
    /// The later version.
    pub(crate) read_at: SelectedSnapshot,
}

impl Changes {
    /// Loads both versions.
    pub(crate) async fn between(span: &Span, read_at: SelectedSnapshot, versions: VersionReader) -> Result<Self, Problem> {
        let (newest, now) = (&read_at.snapshot, read_at.now());
        let after = match span.until {
            Some(until) => versions.at(until, newest, now).await?,
            None => Arc::clone(newest),
        };
        let before = versions.at(span.since, newest, now).await?;
        // A version may have been committed since the latest one was selected.
        if before.version().number() > after.version().number() {
            return Err(Problem::NoSuchVersion {
                newest: after.version().number(),
            });
        }
        if !before.dataset().has_same_columns(after.dataset()) {
            return Err(Problem::DatasetChanged {
                since: before.version().number(),
                until: after.version().number(),
            });
        }
        Ok(Self {
            before,
            read_at: read_at.with_snapshot(after),
        })
    }

    /// A body that begins with `header`. The changes are computed and written while it is sent.
    pub(crate) fn body(&self, header: String, write: impl Fn(&mut Vec<u8>, Change<'_>) + Clone + Send + Sync + 'static) -> Body {
        let difference = Difference::between(&self.before, &self.read_at.snapshot);
        let scan_pool = self.read_at.scan_pool.clone();
        let chunks = stream::try_unfold((difference, scan_pool, write), async |(mut difference, scan_pool, write)| {
            // Millions of equal rows may be compared between two changes. An error aborts the response, because a regular end would make it
            // look complete.
            let chunk = scan_pool.scan_detached(move || (chunk(&mut difference, &write), difference, write));
            let (bytes, difference, write) = chunk.await?;
            Ok::<_, JoinError>((!bytes.is_empty()).then_some((bytes, (difference, scan_pool, write))))
        });
        let header = (!header.is_empty()).then_some(Ok(Bytes::from(header)));
        // The compression polls once more after the end.
        Body::from_stream(stream::iter(header).chain(chunks).fuse())
    }
}

/// The next changes; none at the end.
fn chunk(difference: &mut Difference, write: &impl Fn(&mut Vec<u8>, Change<'_>)) -> Bytes {
    let mut bytes = Vec::new();
    while bytes.len() < CHUNK_BYTES {
        let Some(change) = difference.next_change() else { break };
        write(&mut bytes, change);
    }
    bytes.into()
}

/// What happened to a row: `insert`, `update` or `delete`.
pub(crate) fn kind(change: &Change<'_>) -> &'static str {
    match (change.before, change.after) {
        (None, _) => "insert",
        (Some(_), Some(_)) => "update",
        (Some(_), None) => "delete",
    }
}
