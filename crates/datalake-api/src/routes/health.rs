//! For those who run the server.

use axum::{Json, extract::State, http::header, response::IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, document::ProblemDocument},
    request::query_string::NoParameters,
    snapshots::watch::{Held, TableWatch},
    telemetry::metrics::Metrics,
};
use datalake_core::clock::{Clock, whole_seconds};
use datalake_runs::runs::{RUNS_POLLED, Runs};

/// The response of a process that is alive.
pub const ALIVE: &str = "ok\n";

/// What the server is ready with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready`, or `no_table_yet`: the first run has not ended.
    table: &'static str,
    /// The version of the table; null where there is no table yet.
    #[schema(required)]
    version: Option<u64>,
    /// Seconds since the store last confirmed what is held.
    #[schema(required)]
    checked_age: Option<u64>,
}

/// Liveness.
///
/// Reports that the process runs. It sends no request to the store.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "alive",
    tag = "server",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain"))
)]
pub async fn alive(_: NoParameters) -> &'static str {
    ALIVE
}

/// Readiness.
///
/// The server is ready as soon as it knows the state of the table, and remains ready while the store is unavailable.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    tag = "server",
    responses(
        (status = 200, description = "They can", body = Readiness),
        (status = 503, description = "The store has not answered yet", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn ready(State(table): State<TableWatch>, State(clock): State<Clock>, _: NoParameters) -> Result<Json<Readiness>, Problem> {
    let state = table.state();
    let (table, version) = match &state.held {
        Held::Unknown => return Err(Problem::TableUnknown),
        Held::NoTable => ("no_table_yet", None),
        Held::Snapshot(snapshot) => ("ready", Some(snapshot.version().number())),
    };
    let checked_age = state.checked_at.map(|checked_at| whole_seconds(checked_at, clock.now()));
    Ok(Json(Readiness {
        table,
        version,
        checked_age,
    }))
}

/// Metrics.
///
/// The metrics of the server in the text format of Prometheus.
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
    // Kept up with by the server: a scrape asks the store for nothing.
    let runs = runs.newest_cached(RUNS_POLLED).await;
    let text = metrics.render(&table.state(), &runs, clock);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
