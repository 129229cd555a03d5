//! Logs, counts and traces each request.

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use datalake_core::count::milliseconds;
use datalake_http::request_id::RequestId;
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    operator_paths::is_probe_or_metrics,
    problem::ProblemKind,
    telemetry::{metrics::Metrics, traces::RequestSpan},
};

/// The route of a request whose path matches no route. The path itself would make the number of label values unbounded.
const NO_ROUTE: &str = "none";

/// Writes a log line with the same fields at one of two levels, which the macros of `tracing` fix at compile time.
macro_rules! log_request {
    ($is_debug:expr, $($field:tt)+) => {
        if $is_debug {
            tracing::debug!($($field)+, "request handled");
        } else {
            tracing::info!($($field)+, "request handled");
        }
    };
}

/// Logs, counts and traces a request when the head of its response is ready.
pub async fn observe(metrics: &Metrics, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let started_at = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let request_id = RequestId::from_request(&request);
    let span = RequestSpan::begin(&method, route, Some(request_id.as_str()), request.headers());
    let mut response = next(request).instrument(span.span().clone()).await;
    request_id.set_header(&mut response);
    let (elapsed, status) = (started_at.elapsed(), response.status().as_u16());
    let problem = response.extensions().get::<ProblemKind>();
    span.end(status, problem.map(|ProblemKind(kind)| *kind));
    metrics.count_request(route, status, elapsed);
    log_request!(
        // Probes and scrapes, every few seconds, would drown everything else.
        is_probe_or_metrics(route),
        http.method = method.as_str(),
        http.route = route,
        http.status = status,
        request.id = request_id.as_str(),
        trace.id = span.trace_id(),
        elapsed_ms = milliseconds(elapsed)
    );
    response
}
