//! `GET /runs/{run_id}/events`: the states of a run as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use datalake_core::{progress::RunProgress, run::RunId};
use datalake_runs::{
    run::{Run, RunState},
    runs::Runs,
};
use futures_util::{StreamExt, stream};
use utoipa::IntoParams;

use crate::{
    limits::requests::{FollowerPermit, StoreReadPermit},
    problem::{Problem, responses::RunReadProblems},
    request::{auth::Caller, parameters::NoParameters, path::PathParameter},
    routes::{
        openapi::schemas::RunPath,
        run_document::{ProgressDocument, RunDocument},
        run_redaction,
    },
};

/// Proxies close connections that are idle for a minute, some of them after half a minute.
const KEEP_ALIVE_PERIOD: Duration = Duration::from_secs(15);

/// Clients reconnect by themselves and continue. This bounds how long a client that vanished occupies a slot.
const STREAM_MAX: Duration = Duration::from_mins(15);

/// How long a client waits before it reconnects.
const RETRY: Duration = Duration::from_secs(2);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx would otherwise buffer events, and caches must not store them.
const HEADERS: [(HeaderName, &str); 2] = [
    (HeaderName::from_static("x-accel-buffering"), "no"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The ID of the last event that the client received; none if the header is missing or malformed.
pub(crate) struct LastEventId(Option<u8>);

/// The headers of `/runs/{run_id}/events`.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "`LastEventId` parses the header; this describes it")]
pub(crate) struct EventsParameters {
    /// The ID of the last event that the client received; an unknown ID is ignored.
    #[param(rename = "Last-Event-ID", value_type = String, required = false, example = "2")]
    last_event_id: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = parts.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
        Ok(Self(text.and_then(|text| text.parse().ok())))
    }
}

/// Follow a run
///
/// Returns the states of the run as server-sent events, one at once and one for each change. Each event is named `state` and contains the
/// run as `/runs/{run_id}` shows it; the last one shows the end of the run. The ID of an event is 1 while the run is pending, 2 while it is
/// running and 3 after it has ended. While the run is active, events named `progress` contain its phase and
/// counts; they have no ID. A client that reconnects with `Last-Event-ID` does not receive that event again. After the last event,
/// the response is a 204, which stops an `EventSource`.
#[utoipa::path(
    get,
    path = "/runs/{run_id}/events",
    operation_id = "followRun",
    tag = "runs",
    params(RunPath, EventsParameters),
    responses(
        RunReadProblems,
        (status = 200, description = "The events, until the run has ended", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The client has received the last event"),
    )
)]
pub(crate) async fn follow_run(
    PathParameter(run_id): PathParameter,
    _: NoParameters,
    LastEventId(last_id): LastEventId,
    caller: Caller,
    State(history): State<Runs>,
    permit: FollowerPermit,
    _: StoreReadPermit,
) -> Result<Response, Problem> {
    let run_id = RunId::parse(&run_id).map_err(|_| Problem::NoSuchRun)?;
    let run = history.find(&run_id).await.map_err(|_| Problem::StoreUnavailable)?;
    let run = run.ok_or(Problem::NoSuchRun)?;
    let is_known = last_id == Some(event_id(run.state));
    if is_known && !run.state.is_active() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let progress = history.progress_of(&run_id);
    let current = stream::iter((!is_known).then(|| run.clone()));
    let events = current
        .chain(history.changes_of(run))
        .map(move |run| event(run_redaction::for_caller(run, caller)));
    let events = stream::select(events, progress.map(progress_event)).take_until(stream_end(permit));
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE_PERIOD);
    Ok((HEADERS, Sse::new(events).keep_alive(keep_alive)).into_response())
}

/// Waits for the maximum duration of a stream. The permit is released then, or when the stream is dropped.
async fn stream_end(_permit: FollowerPermit) {
    tokio::time::sleep(STREAM_MAX).await;
}

fn event(run: Run) -> Result<Event, axum::Error> {
    let id = event_id(run.state).to_string();
    Event::default()
        .event("state")
        .id(id)
        .retry(RETRY)
        .json_data(RunDocument::with_notices(run))
}

fn progress_event(progress: RunProgress) -> Result<Event, axum::Error> {
    Event::default().event("progress").json_data(ProgressDocument::from(progress))
}

/// Runs pass through their states in this order. Any replica can compute which events a client has not received.
fn event_id(state: RunState) -> u8 {
    match state {
        RunState::Pending => 1,
        RunState::Running => 2,
        RunState::Ended(_) => 3,
    }
}
