//! What differs between two versions, a line a row.

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use datalake_core::query::{as_of::parse_version, error::QueryError};
use datalake_table::memory::difference::{Change, Difference};
use futures_util::stream;
use serde::Serialize;
use tokio::task::JoinError;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::parameters::lines_of;
use crate::routes::row_document::StoredRowDocument;
use crate::{
    limits::scan_pool::scan,
    problem::{Problem, document::ProblemDocument},
    request::{
        query_string::Pairs,
        snapshot::{NewestParameters, Reading},
        version_reads::PastReads,
    },
};

/// Large enough that a chunk's overhead does not show, small enough that a slow client holds little memory.
const CHUNK_BYTES: usize = 64 * 1024;

/// A row that the two versions show differently.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
struct ChangeDocument<'a> {
    /// `insert`, `update` or `delete`.
    #[serde(rename = "type")]
    #[schema(example = "update")]
    kind: &'static str,
    /// Whose row.
    #[schema(example = "1000")]
    user_id: &'a str,
    /// The row at `since`; null where there was none.
    #[schema(required)]
    before: Option<StoredRowDocument<'a>>,
    /// The row at `until`; null where there is none.
    #[schema(required)]
    after: Option<StoredRowDocument<'a>>,
}

/// Describes changes as NDJSON.
#[derive(Debug)]
pub struct ChangeLines;

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
            before: before.map(StoredRowDocument::from),
            after: after.map(StoredRowDocument::from),
        }
    }
}

/// What `/changes` is asked.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the versions are parsed below; this describes them")]
pub struct ChangesParameters {
    /// The earlier version.
    #[param(example = 0)]
    since: u64,
    /// The later version, not less than `since`; the newest by default.
    #[param(example = 0)]
    until: Option<u64>,
}

/// Two versions.
#[derive(Debug)]
pub struct Span {
    /// The earlier version.
    pub since: u64,
    /// The newest if none.
    pub until: Option<u64>,
}

impl Span {
    /// In whatever order they are given.
    pub fn parse(pairs: &Pairs) -> Result<Self, QueryError> {
        pairs.check_newest(&["since", "until", "min_version", "wait"])?;
        let since = pairs
            .get("since")
            .ok_or_else(|| QueryError::value("since", "must be given: the version after which changes are asked for"))?;
        let since = parse_version("since", since)?;
        let until = pairs.get("until").map(|until| parse_version("until", until)).transpose()?;
        Ok(Self { since, until })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Span {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        let span = Self::parse(&pairs)?;
        if span.until.is_some_and(|until| until < span.since) {
            return Err(QueryError::value("until", "must not be less than since").into());
        }
        Ok(span)
    }
}

/// The rows that differ between two versions.
///
/// One JSON object per line (`Change`), ordered by `user_id`, with the row before and after. Changes that a later version reverted are not
/// included, nor are images that were replaced by another. `since=N&min_version=M&wait=30s`, where M is N + 1, waits for the next version; a
/// client follows the table if it continues with the version in the header `datalake-version`.
#[utoipa::path(
    get,
    path = "/changes",
    operation_id = "listChanges",
    tag = "data",
    params(ChangesParameters, NewestParameters),
    responses(
        (status = 200, description = "A JSON object a line", body = ChangeLines, content_type = "application/x-ndjson", headers(
            ("datalake-version" = u64, description = "The later version"),
        )),
        (status = 400, description = "A parameter is missing, unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such version yet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "A version is gone", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list(Span { since, until }: Span, reading: Reading, past: PastReads) -> Result<Response, Problem> {
    let (newest, now) = (&reading.snapshot, reading.now());
    let after = match until {
        Some(until) => past.at(until, newest, now).await?,
        None => Arc::clone(newest),
    };
    let before = past.at(since, newest, now).await?;
    // A version may have come after the newest was looked at.
    if before.version().number() > after.version().number() {
        return Err(Problem::NoSuchVersion {
            newest: after.version().number(),
        });
    }
    let difference = Difference::between(&before, &after);
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((reading.of(after).age(), headers, Body::from_stream(lines(difference))).into_response())
}

/// The changes as lines, found as fast as they are taken.
fn lines(difference: Difference) -> impl stream::Stream<Item = Result<Bytes, JoinError>> {
    let lines = stream::try_unfold(difference, async |mut difference| {
        // Between two changes there may be millions of rows to compare. A failure cuts the answer: its end would say that it is whole.
        let chunk = scan(move || (chunk(&mut difference), difference));
        let (bytes, difference) = chunk.await?;
        Ok((!bytes.is_empty()).then_some((bytes, difference)))
    });
    // Compression asks once more after the end.
    futures_util::StreamExt::fuse(lines)
}

/// Some lines; none at the end.
fn chunk(difference: &mut Difference) -> Bytes {
    let mut bytes = Vec::new();
    while bytes.len() < CHUNK_BYTES {
        let Some(change) = difference.next_change() else { break };
        serde_json::to_writer(&mut bytes, &ChangeDocument::from(change)).expect("texts and numbers become JSON in memory");
        bytes.push(b'\n');
    }
    bytes.into()
}
