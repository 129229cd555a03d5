//! The rows: as a stream, one by one, and their pictures.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use datalake_core::{
    filter::Selection,
    keys,
    user::{Age, Day, age_on},
};
use datalake_store::error::StoreError;
use datalake_table::{
    columns::RowView,
    snapshot::{Position, Snapshot},
};
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    extract::{Asked, AskedOfRow, NoParameters, Segment},
    problem::{Problem, ProblemDocument},
    reading::Reading,
    state::Pictures,
};

/// Large enough that a chunk's overhead does not show, small enough that a slow client holds little memory.
const CHUNK_BYTES: usize = 64 * 1024;

/// Of a picture from the sources' owners, a browser must take nothing but a picture.
const NOT_SNIFFED: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Row)]
struct RowDocument<'a> {
    /// Names the user; text, also where it looks like a number.
    #[schema(example = "1000")]
    user_id: &'a str,
    first_name: &'a str,
    last_name: &'a str,
    /// When the user was born, in milliseconds since 1970-01-01 UTC.
    #[schema(example = 334_540_800_000_i64)]
    birthts: i64,
    /// Where in the lake the user's picture lies; null where there is none.
    #[schema(required)]
    img_path: Option<String>,
    /// Completed years on the day of the question; null for one born after it.
    #[schema(required)]
    age: Option<u16>,
}

impl<'a> RowDocument<'a> {
    fn new(row: RowView<'a>, on: Day) -> Self {
        Self {
            user_id: row.user_id,
            first_name: row.first_name,
            last_name: row.last_name,
            birthts: row.birth.as_ms(),
            img_path: row.has_image.then(|| keys::image(row.user_id)),
            age: age_on(row.birth.day(), on).map(Age::years),
        }
    }
}

/// The users that the parameters select, by `user_id`.
///
/// Ages are completed calendar years. `min_age` or `max_age` without a value selects the youngest or the oldest of those whom all other
/// parameters leave, ties included; both without a value select both.
#[utoipa::path(
    get,
    path = "/data",
    operation_id = "listRows",
    tag = "data",
    params(
        ("is_image_exists" = Option<String>, Query, description = "`True`: those with a picture; `False`: those without; any case"),
        ("min_age" = Option<String>, Query, description = "At least so many completed years; without a value: the youngest"),
        ("max_age" = Option<String>, Query, description = "At most so many completed years; without a value: the oldest"),
        ("on" = Option<String>, Query, format = Date, description = "The day on which ages are counted; today (UTC) if left out"),
    ),
    responses(
        (status = 200, description = "The users", body = Vec<RowDocument>, headers(
            ("datalake-version" = u64, description = "The version of the table"),
            ("datalake-version-age" = u64, description = "Seconds since that version was committed"),
            ("datalake-checked-age" = u64, description = "Seconds since the store last said that nothing is newer"),
        )),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_rows(Asked(question): Asked, reading: Reading) -> Response {
    let on = reading.day(&question);
    let selection = reading.snapshot.select(&question.filter, on);
    let age = reading.age();
    let body = Body::from_stream(array(reading.snapshot, selection, on));
    (age, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// One user.
#[utoipa::path(
    get,
    path = "/data/{user_id}",
    operation_id = "showRow",
    tag = "data",
    params(
        ("user_id" = String, Path, description = "The user"),
        ("on" = Option<String>, Query, format = Date, description = "The day on which the age is counted; today (UTC) if left out"),
    ),
    responses(
        (status = 200, description = "The user", body = RowDocument),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such user", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_row(Segment(user_id): Segment, AskedOfRow(question): AskedOfRow, reading: Reading) -> Result<Response, Problem> {
    let row = reading.snapshot.row(&user_id).ok_or(Problem::NoSuchUser)?;
    let document = RowDocument::new(row, reading.day(&question));
    Ok((reading.age(), Json(document)).into_response())
}

/// One user's picture, read from the store.
#[utoipa::path(
    get,
    path = "/data/{user_id}/image",
    operation_id = "showImage",
    tag = "data",
    params(("user_id" = String, Path, description = "The user")),
    responses(
        (status = 200, description = "The picture", body = Vec<u8>, content_type = "image/png"),
        (status = 400, description = "A parameter is unknown", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such user, or no picture", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_image(
    State(Pictures(bucket)): State<Pictures>,
    Segment(user_id): Segment,
    _: NoParameters,
    reading: Reading,
) -> Result<Response, Problem> {
    let row = reading.snapshot.row(&user_id).ok_or(Problem::NoSuchUser)?;
    if !row.has_image {
        return Err(Problem::NoPicture);
    }
    let object = bucket
        .get(&keys::image(row.user_id), None, None)
        .await
        .map_err(|error| refused(&error))?;
    let headers = [(header::CONTENT_TYPE, "image/png"), NOT_SNIFFED];
    Ok((reading.age(), headers, object.bytes).into_response())
}

/// A newer version may just have unlinked the picture that the snapshot still names.
fn refused(error: &StoreError) -> Problem {
    match error {
        StoreError::NotFound { .. } => Problem::NoPicture,
        StoreError::Conflict { .. } | StoreError::Denied { .. } | StoreError::Unavailable { .. } | StoreError::Invalid { .. } => {
            tracing::warn!(error = crate::table_watch::chain(error), "a picture cannot be read");
            Problem::StoreUnavailable
        }
    }
}

/// The rows as the text of one JSON array, made as fast as it is taken.
fn array(snapshot: Arc<Snapshot>, selection: Selection, on: Day) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    let rest = Some((Position::default(), "["));
    stream::unfold((snapshot, selection, rest), move |(snapshot, selection, rest)| {
        let chunk = rest.map(|(position, separator)| chunk(&snapshot, &selection, on, position, separator));
        std::future::ready(chunk.map(|(bytes, rest)| (Ok(bytes), (snapshot, selection, rest))))
    })
}

/// One chunk, and where the next begins with what; none where the array ends with this one.
fn chunk(
    snapshot: &Snapshot,
    selection: &Selection,
    on: Day,
    position: Position,
    separator: &'static str,
) -> (Bytes, Option<(Position, &'static str)>) {
    // A row is under 3 KiB, escapes aside.
    let mut bytes = Vec::with_capacity(CHUNK_BYTES + 4 * 1024);
    let mut separator = separator;
    let mut rows = snapshot.rows_from(selection, position);
    while bytes.len() < CHUNK_BYTES {
        let Some(row) = rows.next() else {
            bytes.extend_from_slice(if separator == "[" { b"[]" } else { b"]" });
            return (bytes.into(), None);
        };
        bytes.extend_from_slice(separator.as_bytes());
        serde_json::to_writer(&mut bytes, &RowDocument::new(row, on)).expect("texts and numbers become JSON in memory");
        separator = ",";
    }
    (bytes.into(), Some((rows.position(), separator)))
}
