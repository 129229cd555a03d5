//! `Cache-Control` of the responses whose handlers set none. Most responses name users, so only the client itself may cache them.

use axum::{
    extract::Request,
    http::{HeaderValue, Method, header},
    response::Response,
};

use crate::operator_paths::is_probe_or_metrics;
use datalake_http::conditional::PRIVATE;

/// Probes, metrics, errors and the results of changes are outdated at once.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Sets `Cache-Control` if the handler has not.
pub async fn set_cache_control(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_probe_or_metrics = is_probe_or_metrics(request.uri().path());
    let mut response = next(request).await;
    let is_success = response.status().is_success() || response.status().is_redirection();
    let default = if is_read && is_success && !is_probe_or_metrics {
        PRIVATE
    } else {
        NO_STORE
    };
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(default);
    response
}
