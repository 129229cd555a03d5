//! `POST /data`: the run of a child process, and requests that start none.

use std::{fs, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_runs::{disabled::DisabledLauncher, idempotency::IdempotencyKey, launcher::RunLauncher, process::RunCommand};
use datalake_store::memory::MemoryBucket;
use serde_json::json;
use tempfile::TempDir;

use crate::run_fixture::{Fixture, GATED, router, send};

async fn check_end(script: &str, state: &str, words: &[&str]) {
    let fixture = Fixture::new(script);
    let answer = fixture.post(&[("prefer", "respond-async, wait=60")]).await;
    assert_eq!(
        (answer.status, &answer.body["state"]),
        (StatusCode::ACCEPTED, &json!(state)),
        "{script}: {}",
        answer.body
    );
    assert_eq!(answer.headers["preference-applied"], "wait=60", "{script}");
    assert_eq!(
        answer.headers["location"],
        *format!("/runs/{}", answer.body["id"].as_str().unwrap()),
        "{script}"
    );
    assert_eq!(answer.body["ended_at"], json!("2023-11-14T22:13:20Z"), "{script}");
    let error = answer.body["error"].as_str().unwrap_or_default();
    assert!(
        words.iter().all(|word| error.contains(word)) && words.is_empty() == error.is_empty(),
        "{script}: {error:?}"
    );
}

#[tokio::test]
async fn exit_status_of_the_child_is_the_outcome_of_the_run() {
    check_end("exit 0", "succeeded", &[]).await;
    check_end("echo the store is away >&2; exit 1", "failed", &["1", "the store is away"]).await;
    check_end("exit 2", "misconfigured", &["2"]).await;
    check_end("exit 4", "blocked", &["4"]).await;
    check_end("exit 3", "failed", &["3"]).await;
    check_end("kill -9 $$", "failed", &["signal 9"]).await;
}

#[tokio::test]
async fn child_gets_mode_and_run_id() {
    let fixture = Fixture::new("echo $DATALAKE_RUN_ID $# $2 > $1/arguments");
    let arguments = || fs::read_to_string(fixture.dir.path().join("arguments")).unwrap();
    let run_id = fixture.launcher.run_id_of(&IdempotencyKey::parse("k").unwrap());
    let request = Request::post("/data")
        .header("idempotency-key", "k")
        .header("prefer", "wait=60")
        .header("content-type", "application/json");
    let answer = fixture.send(request, r#"{"mode":"full"}"#).await;
    assert_eq!((&answer.body["state"], &answer.body["mode"]), (&json!("succeeded"), &json!("full")));
    assert_eq!(arguments(), format!("{run_id} 2 --full\n"));
    let answer = fixture.post(&[("prefer", "wait=60")]).await;
    assert_eq!(arguments(), format!("{} 1\n", answer.body["id"].as_str().unwrap()));
}

#[tokio::test]
async fn failed_start_returns_502() {
    let command = RunCommand {
        program: "/no/such/program".into(),
        arguments: Vec::new(),
        grace_period: Duration::ZERO,
    };
    let fixture = Fixture::with_command(TempDir::new().unwrap(), command);
    let answer = fixture.post(&[]).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(
        answer.body["detail"].as_str().unwrap().contains("/no/such/program"),
        "{}",
        answer.body
    );
    let only_reads = router(Arc::new(MemoryBucket::new()), Arc::new(DisabledLauncher::new()));
    assert_eq!(
        send(&only_reads, Request::post("/data"), Body::empty()).await.status,
        StatusCode::NOT_IMPLEMENTED
    );
}

async fn check_refused(path: &str, headers: &[(&str, &str)], body: impl Into<Body>, status: u16) {
    let fixture = Fixture::new(GATED);
    let request = headers
        .iter()
        .fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
    let answer = fixture.send(request, body).await;
    assert_eq!(answer.status.as_u16(), status, "{path} {headers:?}: {}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(fixture.launcher.runs().await.is_empty(), "{path} {headers:?}");
}

#[tokio::test]
async fn malformed_prefer_headers_are_rejected() {
    let json = ("content-type", "application/json");
    check_refused("/data", &[json], "{", 400).await;
    check_refused("/data", &[json], " ", 400).await;
    check_refused("/data", &[json], "nul", 400).await;
    check_refused("/data", &[json], "[]", 400).await;
    check_refused("/data", &[json], r#" ["full"]"#, 400).await;
    check_refused("/data", &[json], r#"{"mode":"all"}"#, 400).await;
    check_refused("/data", &[json], r#"{"mode":null}"#, 400).await;
    check_refused("/data", &[json], r#"{"mode":1}"#, 400).await;
    check_refused("/data", &[json], r#"{"modes":"full"}"#, 400).await;
    check_refused("/data", &[json], r#"{"mode":"full","mode":"full"}"#, 400).await;
    check_refused("/data", &[json], r#"{"allow_mass_delete_of":null}"#, 400).await;
    check_refused("/data", &[json], r#"{"allow_mass_delete_of":"../a"}"#, 400).await;
    check_refused("/data", &[json], r#"{"allow_mass_delete_of":["a"]}"#, 400).await;
    check_refused("/data", &[json], " ".repeat(16 * 1024 + 1), 413).await;
    check_refused("/data", &[], "{}", 415).await;
    check_refused("/data", &[("content-type", "text/plain")], "{}", 415).await;
    check_refused("/data", &[("idempotency-key", "")], "", 400).await;
    check_refused("/data", &[("idempotency-key", "a b")], "", 400).await;
    check_refused("/data", &[("idempotency-key", "a"), ("idempotency-key", "a")], "", 400).await;
    check_refused("/data?mode=full", &[], "", 400).await;
}

/// A rejected body, and what the error names.
async fn check_named(body: &str, words: &[&str]) {
    let answer = Fixture::new(GATED).post_json(None, body).await;
    assert_eq!(answer.body["type"], "/docs/problems#invalid-body", "{body}");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(words.iter().all(|word| detail.contains(word)), "{body}: {detail}");
}

#[tokio::test]
async fn unknown_fields_and_values_are_named() {
    check_named(r#"{"modes":"full"}"#, &["modes", "mode", "allow_mass_delete_of"]).await;
    check_named(r#"{"mode":"all"}"#, &["mode", "\"all\"", "incremental", "full"]).await;
    check_named(r#"{"mode":7}"#, &["`mode` is 7"]).await;
    check_named(r#"{"allow_mass_delete_of":"-"}"#, &["allow_mass_delete_of", "\"-\"", "ID of a run"]).await;
}

#[tokio::test]
async fn no_body_an_empty_object_and_null_are_the_default() {
    for body in ["", "{}", "null", " null\n"] {
        let fixture = Fixture::new("exit 0");
        let answer = fixture.post_json(None, body).await;
        assert_eq!(
            (answer.status, &answer.body["mode"]),
            (StatusCode::ACCEPTED, &json!("incremental")),
            "{body:?}"
        );
    }
}
