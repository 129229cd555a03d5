//! One user, and the picture.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use datalake_core::{
    keys,
    row::RowView,
    user::{Age, Day, age_on},
};
use datalake_store::error::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    extract::{AskedOfRow, NewestAlone, Segment},
    limits::Place,
    problem::{Problem, ProblemDocument},
    reading::{MomentParameters, NewestParameters, Reading},
    state::Pictures,
};

/// Of a picture from the sources' owners, a browser must take nothing but a picture.
const NOT_SNIFFED: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

/// A picture has 8 MiB at most; a store that is well sends it within a second.
const STORE_WAIT_MAX: Duration = Duration::from_secs(10);

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Row)]
pub(super) struct RowDocument<'a> {
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

/// One user.
#[utoipa::path(
    get,
    path = "/data/{user_id}",
    operation_id = "showRow",
    tag = "data",
    params(
        ("user_id" = String, Path, description = "The user"),
        ("on" = Option<String>, Query, format = Date, description = "The day on which the age is counted; today (UTC) if left out"),
        MomentParameters,
    ),
    responses(
        (status = 200, description = "The user", body = RowDocument),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such user, or no such version yet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The version is gone", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_row(Segment(user_id): Segment, AskedOfRow(question): AskedOfRow, reading: Reading) -> Result<Response, Problem> {
    let row = reading.snapshot.row(&user_id).ok_or(Problem::NoSuchUser)?;
    let document = RowDocument::new(row, reading.day(question.on));
    Ok((reading.age(), Json(document)).into_response())
}

/// One user's picture as the newest version has it, read from the store: pictures are replaced, and former ones not kept.
#[utoipa::path(
    get,
    path = "/data/{user_id}/image",
    operation_id = "showImage",
    tag = "data",
    params(("user_id" = String, Path, description = "The user"), NewestParameters),
    responses(
        (status = 200, description = "The picture", body = Vec<u8>, content_type = "image/png"),
        (status = 400, description = "A parameter is unknown", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such user, or no picture", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_image(
    State(Pictures(bucket)): State<Pictures>,
    Segment(user_id): Segment,
    _: NewestAlone,
    _: Place,
    reading: Reading,
) -> Result<Response, Problem> {
    let row = reading.snapshot.row(&user_id).ok_or(Problem::NoSuchUser)?;
    if !row.has_image {
        return Err(Problem::NoPicture);
    }
    let key = keys::image(row.user_id);
    let read = tokio::time::timeout(STORE_WAIT_MAX, bucket.get(&key, None, None)).await;
    let object = read.map_err(|_| Problem::StoreUnavailable)?.map_err(|error| refused(&error))?;
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
