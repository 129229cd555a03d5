//! `GET /runs/{id}/events`, with a launcher whose only run the tests move through its states.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, BodyDataStream, to_bytes},
    http::{HeaderMap, Request, StatusCode},
    response::Response,
};
use datalake_core::{
    keys,
    run::{RunId, RunMode, RunOutcome},
};
use datalake_runs::{
    launcher::{LaunchError, Launched, RunLauncher, RunRequest},
    run::{Run, RunState},
};
use datalake_server::serve;
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    memory::MemoryBucket,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    fixture::answer_at_the_end,
    run_fixture::{parts, report},
};

const PATH: &str = "/runs/a/events";

/// A launcher with the run `a` in the state that the test sets.
#[derive(Clone, Debug)]
struct Stage {
    run: Arc<Mutex<Run>>,
    changes: watch::Sender<()>,
    bucket: MemoryBucket,
}

impl Stage {
    fn new(state: RunState) -> Self {
        let run = Run {
            mode: Some(RunMode::Incremental),
            ..Run::new(RunId::parse("a").unwrap(), state)
        };
        Self {
            run: Arc::new(Mutex::new(run)),
            changes: watch::Sender::new(()),
            bucket: MemoryBucket::new(),
        }
    }

    fn set(&self, state: RunState) {
        self.run.lock().unwrap().state = state;
        self.changes.send_replace(());
    }

    /// Ends the run: the report is written first.
    async fn end(&self) {
        let report = report("a", 1);
        let bytes = serde_json::to_vec(&report).unwrap().into();
        let key = keys::run_report(&report.run_id);
        self.bucket.put(&key, bytes, PutMode::Replace, &Metadata::new()).await.unwrap();
        self.set(RunState::Ended(RunOutcome::Succeeded));
    }

    fn parts(&self) -> datalake_api::state::Parts {
        parts(Arc::new(self.bucket.clone()), Arc::new(self.clone()))
    }

    fn router(&self) -> Router {
        serve::router(self.parts())
    }
}

#[async_trait]
impl RunLauncher for Stage {
    async fn launch(&self, _: RunRequest) -> Result<Launched, LaunchError> {
        let run = self.run.lock().unwrap().clone();
        Ok(Launched { run, started: false })
    }

    async fn runs(&self) -> Vec<Run> {
        vec![self.run.lock().unwrap().clone()]
    }

    async fn stop(&self, _: &RunId) -> Result<(), LaunchError> {
        Err(LaunchError::Disabled)
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

async fn ask(router: &Router, path: &str, last_event_id: Option<&str>) -> Response {
    let request = last_event_id
        .into_iter()
        .fold(Request::get(path), |request, id| request.header("last-event-id", id));
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// The events of a response in order.
struct Events {
    headers: HeaderMap,
    stream: BodyDataStream,
}

impl Events {
    async fn of(router: &Router, last_event_id: Option<&str>) -> Self {
        let (parts, body) = ask(router, PATH, last_event_id).await.into_parts();
        assert_eq!(parts.status, StatusCode::OK, "{last_event_id:?}");
        Self {
            headers: parts.headers,
            stream: body.into_data_stream(),
        }
    }

    /// The ID of the next event and its run; none at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        let text = String::from_utf8(self.stream.next().await?.unwrap().to_vec()).unwrap();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
        };
        assert_eq!((field("event:").as_str(), field("retry:").as_str()), ("state", "2000"));
        Some((field("id:"), serde_json::from_str(&field("data:")).unwrap()))
    }

    #[track_caller]
    fn expect(event: Option<(String, Value)>, id: &str, state: &str) -> Value {
        let (found, run) = event.expect("an event");
        assert_eq!((found.as_str(), &run["state"]), (id, &json!(state)));
        run
    }
}

#[tokio::test]
async fn every_state_is_an_event_and_the_end_is_the_last() {
    let stage = Stage::new(RunState::Pending);
    let mut events = Events::of(&stage.router(), None).await;
    assert_eq!(events.headers["content-type"], "text/event-stream");
    assert_eq!(events.headers["cache-control"], "no-store");
    assert_eq!(events.headers["x-accel-buffering"], "no");
    Events::expect(events.next().await, "1", "pending");
    stage.set(RunState::Running);
    Events::expect(events.next().await, "2", "running");
    // Another run changed: no event of this run. Then it ends with a report.
    stage.changes.send_replace(());
    stage.end().await;
    let run = Events::expect(events.next().await, "3", "succeeded");
    assert_eq!(run["counts"]["added"], 3);
    assert_eq!(run["notices"][0]["code"], "bom");
    assert_eq!(events.next().await, None);
}

/// A Job writes its progress into the lake.
#[tokio::test]
async fn progress_in_the_lake_is_an_event_and_in_the_document() {
    let stage = Stage::new(RunState::Running);
    let key = keys::run_progress(&RunId::parse("a").unwrap());
    let progress = br#"{"phase":"reading","done":2,"total":9}"#;
    let bytes = progress.as_slice().into();
    stage.bucket.put(&key, bytes, PutMode::Replace, &Metadata::new()).await.unwrap();
    let (parts, shutdown) = (stage.parts(), CancellationToken::new());
    let polling = tokio::spawn(parts.runs.clone().poll(shutdown.clone()));
    let router = serve::router(parts);
    let mut events = Events::of(&router, Some("2")).await;
    let event = String::from_utf8(events.stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    let data: Value = serde_json::from_str(event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
    let expected = json!({ "phase": "reading", "label": "reading sources", "done": 2, "total": 9 });
    assert!(event.starts_with("event: progress\n"), "{event}");
    assert_eq!(data, expected);
    let shown = async || -> Value {
        let body = ask(&router, "/runs/a", None).await.into_body();
        serde_json::from_slice(&to_bytes(body, 100_000).await.unwrap()).unwrap()
    };
    assert_eq!(shown().await["progress"], expected);
    stage.end().await;
    Events::expect(events.next().await, "3", "succeeded");
    assert_eq!(events.next().await, None);
    assert_eq!(shown().await["progress"], Value::Null, "the run has ended");
    shutdown.cancel();
    polling.await.unwrap();
}

#[tokio::test]
async fn ended_run_is_one_event() {
    let stage = Stage::new(RunState::Pending);
    stage.end().await;
    let router = stage.router();
    let mut events = Events::of(&router, None).await;
    let run = Events::expect(events.next().await, "3", "succeeded");
    let shown = ask(&router, "/runs/a", None).await.into_body();
    let shown = axum::body::to_bytes(shown, 100_000).await.unwrap();
    assert_eq!(run, serde_json::from_slice::<Value>(&shown).unwrap());
    assert_eq!(events.next().await, None);
}

/// The events for a client that reconnects with this `Last-Event-ID` while the run is running.
async fn check_resumed(last_event_id: &str, is_told_at_once: bool) {
    let stage = Stage::new(RunState::Running);
    let mut events = Events::of(&stage.router(), Some(last_event_id)).await;
    if is_told_at_once {
        Events::expect(events.next().await, "2", "running");
    }
    stage.end().await;
    Events::expect(events.next().await, "3", "succeeded");
    assert_eq!(events.next().await, None, "Last-Event-ID: {last_event_id}");
}

#[tokio::test]
async fn last_event_id_resumes_the_stream() {
    check_resumed("2", false).await;
    check_resumed("1", true).await;
    // A Job is retried under the same name.
    check_resumed("3", true).await;
    check_resumed("", true).await;
    check_resumed("of another server", true).await;
    check_resumed("-1", true).await;
    check_resumed("99999999999", true).await;
}

#[tokio::test]
async fn client_that_has_seen_the_end_gets_204() {
    let stage = Stage::new(RunState::Ended(RunOutcome::Failed));
    let answer = ask(&stage.router(), PATH, Some("3")).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let body = axum::body::to_bytes(answer.into_body(), 10).await.unwrap();
    assert!(body.is_empty());
}

#[tokio::test]
async fn unknown_runs_are_problems() {
    let router = Stage::new(RunState::Running).router();
    for (path, status, kind) in [
        ("/runs/b/events", StatusCode::NOT_FOUND, "no-such-run"),
        ("/runs/-/events", StatusCode::NOT_FOUND, "no-such-run"),
        ("/runs/a/events?since=1", StatusCode::BAD_REQUEST, "invalid-parameter"),
        ("/runs/a/event", StatusCode::NOT_FOUND, "no-such-path"),
    ] {
        let answer = ask(&router, path, None).await;
        assert_eq!((answer.status(), path), (status, path));
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["type"], format!("/docs/problems#{kind}"), "{path}");
    }
}

#[tokio::test]
async fn follower_permits_are_bounded_and_released() {
    let router = Stage::new(RunState::Running).router();
    let mut held = Vec::new();
    for _ in 0..256 {
        held.push(Events::of(&router, None).await);
    }
    let refused = ask(&router, PATH, None).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    held.pop();
    Events::of(&router, None).await;
}

/// The run continues while the server stops: clients that wait for the run get its current state.
#[tokio::test]
async fn shutdown_answers_clients_that_wait_for_a_run() {
    let stage = Stage::new(RunState::Running);
    let request = Request::post("/data").header("prefer", "wait=60").body(Body::empty()).unwrap();
    let answer = answer_at_the_end(stage.parts(), request).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
    let run: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(run["state"], "running");
}

/// The run continues while the server stops without waiting for its followers.
#[tokio::test]
async fn shutdown_ends_event_streams() {
    let stage = Stage::new(RunState::Running);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_hints, hinted) = watch::channel(());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve::serve(listener.into(), stage.parts(), hinted, shutdown.clone()));
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(format!("GET {PATH} HTTP/1.1\r\nhost: lake\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut text = String::new();
    while !text.contains("event: state") {
        let mut bytes = [0; 1024];
        let length = client.read(&mut bytes).await.unwrap();
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
    }
    shutdown.cancel();
    client.read_to_string(&mut text).await.unwrap();
    // The last chunk: the response was completed, not cut.
    assert!(text.ends_with("\r\n0\r\n\r\n"), "{text}");
    serving.await.unwrap();
}
