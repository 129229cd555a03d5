//! What the server tells of the requests it answers: one line and one count each. Never a path or a query: they name people.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use tokio::time::Instant;
use tower_http::request_id::RequestId;

use crate::metrics::Metrics;

/// Stands for a route in logs and metrics where there is none: paths that somebody made up are without number.
const NO_ROUTE: &str = "none";

/// Logs and counts a request when its answer begins.
pub(crate) async fn observe(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let request_id = request
        .extensions()
        .get::<RequestId>()
        .and_then(|id| id.header_value().to_str().ok().map(str::to_owned));
    let response = next.run(request).await;
    let (elapsed, status) = (begun.elapsed(), response.status());
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    metrics.count_request(route, status.as_u16(), elapsed);
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let (method, status) = (method.as_str(), status.as_u16());
    // What probes and scrapers ask each few seconds would hide all else.
    if matches!(route, "/healthz" | "/readyz" | "/metrics") {
        tracing::debug!(
            http.method = method,
            http.route = route,
            http.status = status,
            request.id = request_id,
            elapsed_ms,
            "answered"
        );
    } else {
        tracing::info!(
            http.method = method,
            http.route = route,
            http.status = status,
            request.id = request_id,
            elapsed_ms,
            "answered"
        );
    }
    response
}
