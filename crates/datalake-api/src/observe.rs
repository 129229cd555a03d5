//! What the server tells of the requests it answers: one line, one count and one span each. Never a path or a query: they name people.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use tokio::time::Instant;
use tower_http::request_id::RequestId;
use tracing::Instrument;

use crate::{metrics::Metrics, problem::ProblemKind, traces::RequestSpan};

/// Stands for a route in logs and metrics where there is none: paths that somebody made up are without number.
const NO_ROUTE: &str = "none";

/// Logs, counts and traces a request when its answer begins.
pub(crate) async fn observe(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let request_id = request
        .extensions()
        .get::<RequestId>()
        .and_then(|id| id.header_value().to_str().ok().map(str::to_owned));
    let request_id = request_id.as_deref();
    let span = RequestSpan::begin(&method, route, request_id, request.headers());
    let response = next.run(request).instrument(span.span().clone()).await;
    let (elapsed, status) = (begun.elapsed(), response.status());
    let problem = response.extensions().get::<ProblemKind>();
    span.end(status.as_u16(), problem.map(|ProblemKind(kind)| *kind));
    metrics.count_request(route, status.as_u16(), elapsed);
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let (method, status) = (method.as_str(), status.as_u16());
    let trace_id = span.trace_id();
    // What probes and scrapers ask each few seconds would hide all else.
    if matches!(route, "/healthz" | "/readyz" | "/metrics") {
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
