//! `/healthz` and `/readyz`, for probes.

use axum::{Json, extract::State};
use datalake_core::clock::{Clock, whole_seconds};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, document::ProblemDocument},
    request::parameters::NoParameters,
    snapshots::watch::{TableState, TableWatch},
};

/// The body of a successful liveness probe.
pub const ALIVE: &str = "ok\n";

/// The state of the table.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready`, or `no_table_yet` until the first run has succeeded.
    table: &'static str,
    /// The version of the table; null if there is no table yet.
    #[schema(required)]
    version: Option<u64>,
    /// Seconds since the store last confirmed that no version is newer.
    #[schema(required)]
    checked_age: Option<u64>,
}

/// Check liveness
///
/// Succeeds while the process runs. Does not contact the store.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "alive",
    tag = "server",
    responses((status = 200, description = "The process runs", body = String, content_type = "text/plain"))
)]
pub async fn alive(_: NoParameters) -> &'static str {
    ALIVE
}

/// Check readiness
///
/// Succeeds once the table has been loaded, and while the store is unavailable later.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    tag = "server",
    responses(
        (status = 200, description = "The server is ready", body = Readiness),
        (status = 503, description = "The table has not been loaded yet", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn ready(State(table): State<TableWatch>, State(clock): State<Clock>, _: NoParameters) -> Result<Json<Readiness>, Problem> {
    let status = table.status();
    let (table, version) = match &status.state {
        TableState::Loading => return Err(Problem::TableNotLoaded),
        TableState::Missing => ("no_table_yet", None),
        TableState::Loaded(snapshot) => ("ready", Some(snapshot.version().number())),
    };
    let checked_age = status.checked_at.map(|checked_at| whole_seconds(checked_at, clock.now()));
    Ok(Json(Readiness {
        table,
        version,
        checked_age,
    }))
}
