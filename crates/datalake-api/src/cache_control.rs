//! How answers may be kept by caches. What no handler decides is decided here: users are named in most answers, so that none but the client
//! itself may keep one.

use axum::{
    extract::Request,
    http::{HeaderValue, Method, header},
    response::Response,
};

use crate::probes::is_probe_or_metrics;
use datalake_http::conditional::PRIVATE;

/// Of the present alone: probes, metrics, and what was done.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");

/// Sets `Cache-Control` where the handler did not.
pub async fn caching(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_of_present = is_probe_or_metrics(request.uri().path());
    let mut response = next(request).await;
    let is_answer = response.status().is_success() || response.status().is_redirection();
    let default = if is_read && is_answer && !is_of_present {
        PRIVATE
    } else {
        NOT_KEPT
    };
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(default);
    response
}
