//! `/metrics`, for scrapers.

use axum::{extract::State, http::header, response::IntoResponse};
use datalake_core::clock::Clock;
use datalake_runs::runs::{RUNS_POLLED, Runs};

use crate::{request::parameters::NoParameters, snapshots::watch::TableWatch, telemetry::metrics::Metrics};

/// Get metrics
///
/// Returns the metrics of the server in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "metrics",
    tag = "server",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain"))
)]
pub async fn metrics(
    State(metrics): State<Metrics>,
    State(table): State<TableWatch>,
    State(runs): State<Runs>,
    State(clock): State<Clock>,
    _: NoParameters,
) -> impl IntoResponse {
    // The server polls the reports in the background, so a scrape sends no request to the store.
    let runs = runs.newest_cached(RUNS_POLLED).await;
    let text = metrics.render(&table.status(), &runs, clock);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
