//! Requests with an `Idempotency-Key`.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use datalake_core::run::RunId;
use datalake_runs::{idempotency::IdempotencyKey, launcher::RunLauncher};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::run_fixture::{Fixture, GATED, ids, report};

#[tokio::test]
async fn key_with_another_body_returns_422() {
    let fixture = Fixture::new(GATED);
    let mut gate = fixture.gate().await;
    // Concurrent requests: the second joins the run of the first.
    let (started, joined) = tokio::join!(
        fixture.post_json(Some("full"), r#"{"mode":"full"}"#),
        fixture.post_json(Some("joined"), "{}")
    );
    assert_eq!(started.body["id"], joined.body["id"]);
    gate.write_all(b"\n").await.unwrap();
    fixture.ended(started.body["id"].as_str().unwrap()).await;
    for (key, body, status) in [
        ("full", r#"{"mode":"full"}"#, StatusCode::ACCEPTED),
        ("joined", "null", StatusCode::ACCEPTED),
        ("joined", r#"{"mode":"incremental"}"#, StatusCode::ACCEPTED),
        ("full", "{}", StatusCode::UNPROCESSABLE_ENTITY),
        ("joined", r#"{"mode":"full"}"#, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let again = fixture.post_json(Some(key), body).await;
        assert_eq!(again.status, status, "{key} {body}: {}", again.body);
        match status {
            StatusCode::ACCEPTED => assert_eq!(again.body["id"], started.body["id"], "{key} {body}"),
            _ => assert_eq!(again.body["type"], "/docs/problems#idempotency-key-reused"),
        }
    }
    assert_eq!(fixture.children(), 1);
}

/// A lookup that needs the store is retried later.
#[tokio::test]
async fn key_lookup_without_store_returns_503() {
    let fixture = Fixture::new(GATED);
    fixture.is_store_down.store(true, Ordering::SeqCst);
    let by_key = fixture.post(&[("idempotency-key", "k")]).await;
    let permitting = fixture.post_json(None, r#"{"allow_mass_delete_of":"a"}"#).await;
    for refused in [by_key, permitting] {
        assert_eq!(
            (refused.status, &refused.body["type"], &refused.headers["retry-after"]),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                &json!("/docs/problems#store-unavailable"),
                &"5".parse().unwrap()
            )
        );
    }
    assert_eq!(fixture.children(), 0);
}

/// Replicas with child processes of their own give the run of one key the same ID.
#[tokio::test]
async fn replicas_run_one_key_in_parallel() {
    let fixture = Fixture::new(GATED);
    let (dir, command) = Fixture::scripted(GATED);
    let other = Fixture::of_lake(dir, command, fixture.bucket.clone());
    let (mine, theirs) = tokio::join!(fixture.post(&[("idempotency-key", "k")]), other.post(&[("idempotency-key", "k")]));
    assert_eq!((mine.status, &mine.body["id"]), (StatusCode::ACCEPTED, &theirs.body["id"]));
    let run_id = mine.body["id"].as_str().unwrap();
    // Stopping one does not affect the other.
    fixture.launcher.stop(&RunId::parse(run_id).unwrap()).await.unwrap();
    assert_eq!(fixture.ended(run_id).await["state"], "stopped");
    assert_eq!(other.get(&format!("/runs/{run_id}")).await.body["state"], "running");
    // The other writes its report later under the same name: both servers list that run once.
    other.put_report(&report(run_id, 480_000)).await;
    other.open_gate().await;
    assert_eq!(other.ended(run_id).await["state"], "succeeded");
    for server in [&fixture, &other] {
        assert_eq!(ids(&server.get("/runs").await), [run_id]);
        let again = server.post(&[("idempotency-key", "k")]).await;
        assert_eq!((&again.body["id"], &again.body["state"]), (&json!(run_id), &json!("succeeded")));
    }
    assert_eq!(other.children(), 1);
}

#[tokio::test]
async fn key_of_a_reported_run_starts_no_run() {
    let fixture = Fixture::new(GATED);
    let run_id = fixture.launcher.run_id_of(&IdempotencyKey::parse("k").unwrap());
    fixture.put_report(&report(run_id.as_str(), 1)).await;
    let answer = fixture.post(&[("idempotency-key", "k")]).await;
    assert_eq!(
        (&answer.body["id"], &answer.body["state"]),
        (&json!(run_id.as_str()), &json!("succeeded"))
    );
    assert_eq!(fixture.children(), 0);
}
