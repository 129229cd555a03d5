//! Long polling for live updates: an open page sends the ID of the state that it shows, and gets the current one as soon as it differs.
//!
//! A wait that times out returns 200 and the same ID, because browsers log failed requests to the console.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use crate::page::lake_status::{LakeState, LakeStatus};
use datalake_api::{limits::requests::WaitPermit, problem::Problem, request::query_string::QueryString, snapshots::watch::TableWatch};
use datalake_core::clock::Clock;
use datalake_runs::runs::Runs;

/// Proxies often close connections that are idle for 30 s.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// How often changes are polled that send no notification: a store failure, and staleness by time.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The state that the open page shows.
pub(crate) struct ShownState(String);

impl<S: Send + Sync> FromRequestParts<S> for ShownState {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&["state"])?;
        Ok(Self(pairs.get("state").unwrap_or_default().to_owned()))
    }
}

/// Returns the ID of the current state as soon as it differs from the shown one, and at the latest after [`WAIT_MAX`].
pub(crate) async fn wait(
    ShownState(shown): ShownState,
    _: WaitPermit,
    State(table): State<TableWatch>,
    State(runs): State<Runs>,
    State(clock): State<Clock>,
) -> Response {
    let deadline = Instant::now() + WAIT_MAX;
    let shutdown = runs.shutdown();
    let mut versions = table.versions();
    let mut launcher_changes = runs.launcher_changes();
    let mut reports = runs.reports_read();
    let current = loop {
        versions.mark_unchanged();
        launcher_changes.mark_unchanged();
        reports.mark_unchanged();
        let LakeState { id, .. } = LakeStatus::load(&table, &runs, clock.now()).await.state();
        if id != shown || Instant::now() >= deadline || shutdown.is_cancelled() {
            break id;
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep_until(deadline.min(Instant::now() + POLL_INTERVAL)) => {}
            Ok(()) = versions.changed() => {}
            Ok(()) = launcher_changes.changed() => {}
            Ok(()) = reports.changed() => {}
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, current).into_response()
}
