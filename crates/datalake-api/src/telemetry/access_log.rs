//! What the server tells of the requests it answers: one line, one count and one span each. Never a path or a query: they name people.

use axum::{
    extract::{MatchedPath, Request},
    response::Response,
};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    probes::is_probe_or_metrics,
    problem::ProblemKind,
    telemetry::{metrics::Metrics, traces::RequestSpan},
};
use datalake_http::request_id::RequestId;

/// Stands for a route in logs and metrics where there is none: paths that somebody made up are without number.
const NO_ROUTE: &str = "none";

/// Logs, counts and traces a request when its answer begins.
pub async fn observe(metrics: &Metrics, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let request_id = RequestId::from_request(&request);
    let span = RequestSpan::begin(&method, route, Some(request_id.as_str()), request.headers());
    let mut response = next(request).instrument(span.span().clone()).await;
    request_id.set_header(&mut response);
    let request_id = request_id.as_str();
    let (elapsed, status) = (begun.elapsed(), response.status());
    let problem = response.extensions().get::<ProblemKind>();
    span.end(status.as_u16(), problem.map(|ProblemKind(kind)| *kind));
    metrics.count_request(route, status.as_u16(), elapsed);
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let (method, status) = (method.as_str(), status.as_u16());
    let trace_id = span.trace_id();
    // What probes and scrapers ask each few seconds would hide all else.
    if is_probe_or_metrics(route) {
        tracing::debug!(
            http.method = method,
            http.route = route,
            http.status = status,
            request.id = request_id,
            trace.id = trace_id,
            elapsed_ms,
            "answered"
        );
    } else {
        tracing::info!(
            http.method = method,
            http.route = route,
            http.status = status,
            request.id = request_id,
            trace.id = trace_id,
            elapsed_ms,
            "answered"
        );
    }
    response
}
