//! Requests that join a run, and the limit of active runs.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::run_fixture::{Fixture, GATED, JsonAnswer, ids};

/// A child may have read the sources as soon as it is spawned.
#[tokio::test]
async fn request_after_the_spawn_starts_another_run_and_the_fourth_gets_429() {
    let fixture = Fixture::new(GATED);
    let mut gate = fixture.gate().await;
    let first = fixture.post(&[("prefer", "wait=0")]).await;
    assert_eq!((&first.body["state"], &first.body["ended_at"]), (&json!("running"), &Value::Null));
    let second = fixture.post(&[("idempotency-key", "second")]).await;
    let third = fixture.post_json(None, r#"{"mode":"full"}"#).await;
    let started: BTreeSet<&str> = [&first, &second, &third].map(|answer| answer.body["id"].as_str().unwrap()).into();
    assert_eq!(started.len(), 3);
    assert_eq!((&second.body["mode"], &third.body["mode"]), (&json!("incremental"), &json!("full")));
    let refused = fixture.post(&[]).await;
    assert_eq!(
        (refused.status, &refused.body["type"], &refused.headers["retry-after"]),
        (
            StatusCode::TOO_MANY_REQUESTS,
            &json!("/docs/problems#too-many-runs"),
            &"5".parse().unwrap()
        )
    );
    // The key is resolved while the limit of active runs is reached.
    assert_eq!(fixture.post(&[("idempotency-key", "second")]).await.body["id"], second.body["id"]);
    let shown = fixture.get("/runs").await;
    assert_eq!(ids(&shown).into_iter().collect::<BTreeSet<_>>(), started);
    let page = fixture.page("/").await;
    assert_eq!(page.matches("data-active-run=").count(), 3, "{page}");
    // One is stopped; the others continue.
    let stopped = fixture
        .send(Request::delete(first.headers["location"].to_str().unwrap()), Body::empty())
        .await;
    assert_eq!(stopped.status, StatusCode::ACCEPTED);
    let ended = async |run: &JsonAnswer| fixture.ended(run.body["id"].as_str().unwrap()).await["state"].clone();
    assert_eq!(ended(&first).await, "stopped");
    gate.write_all(b"\n\n").await.unwrap();
    assert_eq!(
        (ended(&second).await, ended(&third).await),
        (json!("succeeded"), json!("succeeded"))
    );
    assert_eq!(fixture.children(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_one_run() {
    let fixture = Fixture::new(GATED);
    let answers = join_all((0..50).map(|_| fixture.post(&[]))).await;
    let runs: Vec<&Value> = answers.iter().map(|answer| &answer.body["id"]).collect();
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    fixture.open_gate().await;
    fixture.launcher.shut_down().await;
    assert_eq!(fixture.children(), 1);
}
