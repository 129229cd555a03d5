//! Methods that a path does not support.

use axum::{
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};

use crate::problem::Problem;

/// Responds to `OPTIONS`, and rejects every other method. The router adds the header `Allow` to both responses.
pub(crate) async fn respond(method: Method) -> Response {
    match method {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => Problem::MethodNotAllowed.into_response(),
    }
}
