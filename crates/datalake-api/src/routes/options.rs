//! Methods that a path does not take.

use axum::{
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};

use crate::problem::Problem;

/// `OPTIONS` asks which methods there are, and any other is refused. The router adds the header `Allow` to both.
pub(crate) async fn answer(method: Method) -> Response {
    match method {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => Problem::MethodNotAllowed.into_response(),
    }
}
