//! `GET /runs/{id}/events`: a run's states as they come, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use datalake_core::report::RunId;
use futures_util::{StreamExt, stream};
use utoipa::IntoParams;

use crate::{
    limits::requests::{FollowerPermit, StoreReadPermit},
    problem::{Problem, document::ProblemDocument},
    request::{
        auth::Caller,
        query_string::{NoParameters, Segment},
    },
    routes::{parameters::RunPath, run_document::RunView, run_redaction},
};
use datalake_runs::{
    run::{Run, RunState},
    runs::Runs,
};

/// Proxies cut what says nothing for a minute, some of them for half of one.
const KEEP_ALIVE_PERIOD: Duration = Duration::from_secs(15);

/// Clients come back by themselves, and go on where they were: this bounds how long one that has gone without a word keeps its place.
const STREAM_MAX: Duration = Duration::from_mins(15);

/// When a client whose stream was cut comes back.
const RETRY: Duration = Duration::from_secs(2);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx would hold events back until its buffer is full, and no cache may keep them.
const HEADERS: [(HeaderName, &str); 2] = [
    (HeaderName::from_static("x-accel-buffering"), "no"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The number of the event that the client saw last; none where it saw none, or says it in another server's way.
pub(crate) struct LastSeen(Option<u8>);

/// The header that [`LastSeen`] is read from, for the description alone.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read below; this describes it")]
pub(crate) struct EventsParameters {
    /// The ID of the last event that the client received; an unknown ID is ignored.
    #[param(rename = "Last-Event-ID", value_type = String, required = false, example = "2")]
    last_event_id: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for LastSeen {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = parts.headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
        Ok(Self(text.and_then(|text| text.parse().ok())))
    }
}

/// The states of one run as server-sent events.
///
/// Each event has the name `state` and contains the run as `/runs/{run_id}` shows it: one at once, one at each change, and the last one at the
/// run's end. The event's ID is 1 while the run is pending, 2 while it is running and 3 once it has ended. A client that reconnects with
/// `Last-Event-ID` does not receive that event again; after the last event, the response is a 204, which ends an `EventSource`.
#[utoipa::path(
    get,
    path = "/runs/{run_id}/events",
    operation_id = "followRun",
    tag = "runs",
    params(RunPath, EventsParameters),
    responses(
        (status = 200, description = "The events, until the run has ended", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The client has seen the run's end"),
        (status = 404, description = "No such run", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer, or too many follow runs", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn follow_run(
    Segment(run_id): Segment,
    _: NoParameters,
    LastSeen(seen): LastSeen,
    caller: Caller,
    State(history): State<Runs>,
    permit: FollowerPermit,
    _: StoreReadPermit,
) -> Result<Response, Problem> {
    let run_id = RunId::parse(&run_id).map_err(|_| Problem::NoSuchRun)?;
    let run = history.find(&run_id).await.map_err(|_| Problem::StoreUnavailable)?;
    let run = run.ok_or(Problem::NoSuchRun)?;
    let is_seen = seen == Some(number(run.state));
    if is_seen && !run.state.is_active() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let at_once = stream::iter((!is_seen).then(|| run.clone()));
    let events = at_once
        .chain(history.changes_of(run))
        .map(move |run| event(run_redaction::for_caller(run, caller)))
        .take_until(longest(permit));
    let alive = KeepAlive::new().interval(KEEP_ALIVE_PERIOD);
    Ok((HEADERS, Sse::new(events).keep_alive(alive)).into_response())
}

/// Ends when a stream has to. The permit is held until then, or until the stream is dropped, and this with it.
async fn longest(_permit: FollowerPermit) {
    tokio::time::sleep(STREAM_MAX).await;
}

fn event(run: Run) -> Result<Event, axum::Error> {
    let id = number(run.state).to_string();
    Event::default()
        .event("state")
        .id(id)
        .retry(RETRY)
        .json_data(RunView::with_notices(run))
}

/// A run goes through its states in this order, so that whoever knows the last number knows what is new, on whichever replica.
fn number(state: RunState) -> u8 {
    match state {
        RunState::Pending => 1,
        RunState::Running => 2,
        RunState::Ended(_) => 3,
    }
}
