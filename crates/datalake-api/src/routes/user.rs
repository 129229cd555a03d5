//! `GET /data/{user_id}` and `GET /data/{user_id}/image`: one user, and the user's image.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};
use datalake_http::conditional::Validators;
use datalake_store::bucket::ObjectMeta;

use crate::{
    digest::text_digest,
    images::ImageReader,
    limits::requests::StoreReadPermit,
    problem::{
        Problem,
        document::ProblemDocument,
        from::precondition_response,
        responses::{ConditionalResponses, NewestReadProblems, ReadProblems},
    },
    request::{
        data_query::UserQuery,
        parameters::NoParameters,
        path::PathParameter,
        selected_snapshot::{NewestVersionParameters, TimeTravelParameters},
        table_read::{NewestRead, TableRead},
    },
    routes::{
        openapi_schemas::{Binary, ConditionParameters, UserPath},
        row_document::RowDocument,
    },
};

/// The bytes come from the owners of the sources. A browser must not interpret them as anything but an image.
const NO_SNIFF: (HeaderName, HeaderValue) = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// Get a user
///
/// Returns the user's row, with the age on the day `on`.
#[utoipa::path(
    get,
    path = "/data/{user_id}",
    operation_id = "showRow",
    tag = "data",
    params(
        UserPath,
        ("on" = Option<String>, Query, format = Date, description = "The day on which the age is computed, as `YYYY-MM-DD`; today (UTC) by default.", example = "2026-11-24"),
        TimeTravelParameters,
        ConditionParameters,
    ),
    responses(
        ReadProblems,
        ConditionalResponses,
        (status = 200, description = "The user", body = RowDocument, headers(
            ("etag" = String, description = "The ETag of the response, for `If-None-Match`"),
        )),
    )
)]
pub(crate) async fn show_row(
    PathParameter(user_id): PathParameter,
    TableRead(UserQuery { query, identity }, read_at): TableRead<UserQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = read_at.snapshot.row(&user_id).ok_or(Problem::NoSuchUser)?;
    let day = read_at.day(query.on);
    let validators = read_at.validators(&format!("row\n{identity}"), Some(day), query.on.is_none());
    if let Some(precondition) = validators.evaluate_preconditions(&headers) {
        return Ok((read_at.freshness_headers(), precondition_response(precondition, &validators)).into_response());
    }
    let document = RowDocument::new(row, day);
    Ok((read_at.freshness_headers(), validators.headers(), Json(document)).into_response())
}

/// Get a user's image
///
/// Returns the image that the latest version of the table links. Images of earlier versions are not kept.
#[utoipa::path(
    get,
    path = "/data/{user_id}/image",
    operation_id = "showImage",
    tag = "data",
    params(UserPath, NewestVersionParameters, ConditionParameters),
    responses(
        NewestReadProblems,
        ConditionalResponses,
        (status = 200, description = "The image", body = Binary, content_type = "image/png", headers(
            ("etag" = String, description = "The ETag of the image, for `If-None-Match`"),
        )),
        (status = 404, description = "The user does not exist or has no image", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn show_image(
    State(images): State<ImageReader>,
    PathParameter(user_id): PathParameter,
    NewestRead(NoParameters, read_at): NewestRead<NoParameters>,
    _: StoreReadPermit,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = read_at.snapshot.row(&user_id).ok_or(Problem::NoSuchUser)?;
    let key = row.path(0).ok_or(Problem::NoImage)?.concat();
    let is_conditional = [header::IF_NONE_MATCH, header::IF_MATCH]
        .iter()
        .any(|name| headers.contains_key(name));
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
    // Conditions and HEAD do not need the bytes.
    if is_conditional || method == Method::HEAD {
        let meta = images.head(&key).await?;
        let validators = image_validators(&meta);
        if let Some(precondition) = validators.evaluate_preconditions(&headers) {
            return Ok((read_at.freshness_headers(), precondition_response(precondition, &validators)).into_response());
        }
        if method == Method::HEAD {
            let length = (header::CONTENT_LENGTH, HeaderValue::from(meta.size));
            return Ok((read_at.freshness_headers(), validators.headers(), [content_type, NO_SNIFF, length]).into_response());
        }
    }
    let image = images.get(&key).await?;
    let validators = image_validators(&image.meta);
    // A run may have replaced the image since its ETag was read.
    if let Some(precondition) = validators.evaluate_preconditions(&headers) {
        return Ok((read_at.freshness_headers(), precondition_response(precondition, &validators)).into_response());
    }
    Ok((
        read_at.freshness_headers(),
        validators.headers(),
        [content_type, NO_SNIFF],
        image.bytes,
    )
        .into_response())
}

/// A digest of the store's ETag identifies the bytes, and reveals nothing else about the store.
fn image_validators(meta: &ObjectMeta) -> Validators {
    Validators::etag_only(&text_digest(meta.etag.as_str()))
}
