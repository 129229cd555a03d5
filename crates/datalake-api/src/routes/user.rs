//! One user, and the picture.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use datalake_core::{
    image::IMAGE_BYTES_MAX,
    keys,
    row::RowView,
    user::{Age, Day, age_on},
};
use datalake_store::{bucket::ObjectMeta, error::StoreError};
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::{
    limits::requests::StoreReadPermit,
    problem::{self, Problem, document::ProblemDocument},
    request::{
        cursor,
        query_string::{AskedOfRow, NewestAlone, Segment},
        snapshot::{MomentParameters, NewestParameters, Reading},
    },
    routes::parameters::{Binary, ConditionParameters, UserPath},
    state::Pictures,
};
use datalake_http::conditional::Validators;

/// Of a picture from the sources' owners, a browser must take nothing but a picture.
const NOT_SNIFFED: (HeaderName, HeaderValue) = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// An image has 8 MiB at most; a store that is well sends it within a second.
const STORE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Pictures that are read at once: 64 MiB of the largest. What is read is counted by `limits.rs` until it is sent.
const READS_MAX: usize = 8;

static READS: Semaphore = Semaphore::const_new(READS_MAX);

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Row)]
pub(crate) struct RowDocument<'a> {
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
///
/// The user's row, with the age on the day `on`.
#[utoipa::path(
    get,
    path = "/data/{user_id}",
    operation_id = "showRow",
    tag = "data",
    params(
        UserPath,
        ("on" = Option<String>, Query, format = Date, description = "The day on which the age is computed, as `YYYY-MM-DD`; today (UTC) by default.", example = "2026-11-24"),
        MomentParameters,
        ConditionParameters,
    ),
    responses(
        (status = 200, description = "The user", body = RowDocument, headers(
            ("etag" = String, description = "Names these bytes: for `If-None-Match`"),
        )),
        (status = 304, description = "The client has this answer"),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such user, or no such version yet", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "The version is gone", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`If-Match` wants another answer", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_row(
    Segment(user_id): Segment,
    AskedOfRow { question, identity }: AskedOfRow,
    reading: Reading,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = reading.snapshot.row(&user_id).ok_or(Problem::NoSuchUser)?;
    let day = reading.day(question.on);
    let validators = reading.validators(&format!("row\n{identity}"), Some(day), question.on.is_none());
    if let Some(precondition) = validators.evaluate_preconditions(&headers) {
        return Ok((reading.age(), problem::from::of_precondition(precondition, &validators)).into_response());
    }
    let document = RowDocument::new(row, day);
    Ok((reading.age(), validators.headers(), Json(document)).into_response())
}

/// The image of one user.
///
/// The image of the newest version, read from the store. Images of earlier versions are not kept.
#[utoipa::path(
    get,
    path = "/data/{user_id}/image",
    operation_id = "showImage",
    tag = "data",
    params(UserPath, NewestParameters, ConditionParameters),
    responses(
        (status = 200, description = "The picture", body = Binary, content_type = "image/png", headers(
            ("etag" = String, description = "Names these bytes: for `If-None-Match`"),
        )),
        (status = 304, description = "The client has this picture"),
        (status = 400, description = "A parameter is unknown", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "There is no such user, or no picture", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "`If-Match` wants another picture", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_image(
    State(Pictures(bucket)): State<Pictures>,
    Segment(user_id): Segment,
    _: NewestAlone,
    reading: Reading,
    _: StoreReadPermit,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = reading.snapshot.row(&user_id).ok_or(Problem::NoSuchUser)?;
    if !row.has_image {
        return Err(Problem::NoPicture);
    }
    let key = keys::image(row.user_id);
    let is_conditional = [header::IF_NONE_MATCH, header::IF_MATCH]
        .iter()
        .any(|name| headers.contains_key(name));
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    // What is said of a picture does not need its bytes.
    if is_conditional || method == Method::HEAD {
        let head = in_time(bucket.head(&key)).await?;
        let validators = of_picture(&head.meta);
        if let Some(precondition) = validators.evaluate_preconditions(&headers) {
            return Ok((reading.age(), problem::from::of_precondition(precondition, &validators)).into_response());
        }
        if method == Method::HEAD {
            let length = (header::CONTENT_LENGTH, HeaderValue::from(head.meta.size));
            return Ok((reading.age(), validators.headers(), [content_type, NOT_SNIFFED, length]).into_response());
        }
    }
    let object = in_time(async {
        let _turn = READS.acquire().await.expect("the semaphore is never closed");
        bucket.get(&key, None, Some(0..IMAGE_BYTES_MAX)).await
    });
    let object = object.await?;
    if object.meta.size > IMAGE_BYTES_MAX {
        tracing::warn!(
            bytes = object.meta.size,
            "image copy larger than any image that a run copies; the vacuum replaces it"
        );
        return Err(Problem::StoreUnavailable);
    }
    let validators = of_picture(&object.meta);
    // A run may have replaced it since its description was read.
    if let Some(precondition) = validators.evaluate_preconditions(&headers) {
        return Ok((reading.age(), problem::from::of_precondition(precondition, &validators)).into_response());
    }
    Ok((reading.age(), validators.headers(), [content_type, NOT_SNIFFED], object.bytes).into_response())
}

/// The store's own tag says which bytes they are; what else it holds is none of a client's business.
fn of_picture(meta: &ObjectMeta) -> Validators {
    Validators::etag_only(&cursor::digest(meta.etag.as_str()))
}

async fn in_time<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    let read = tokio::time::timeout(STORE_WAIT_MAX, read).await;
    read.map_err(|_| Problem::StoreUnavailable)?.map_err(|error| refused(&error))
}

/// A newer version may just have unlinked the picture that the snapshot still names.
fn refused(error: &StoreError) -> Problem {
    match error {
        StoreError::NotFound { .. } => Problem::NoPicture,
        StoreError::Conflict { .. }
        | StoreError::Expired { .. }
        | StoreError::Denied { .. }
        | StoreError::Unavailable { .. }
        | StoreError::Invalid { .. } => {
            tracing::warn!(error = datalake_core::error_chain::error_chain(error), "a picture cannot be read");
            Problem::StoreUnavailable
        }
    }
}
