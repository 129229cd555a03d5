//! `POST /data` and `/runs`, with shell scripts as the processor and reports in memory.

#![expect(clippy::unwrap_used, reason = "the fixture is part of the tests")]

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use datalake_core::run::{BlockedDeletions, RejectDetail, RunId, RunOutcome, RunReport, SourceNotice};
use datalake_runs::{disabled::DisabledLauncher, idempotency::IdempotencyKey, launcher::RunLauncher, process::RunCommand};
use datalake_store::memory::MemoryBucket;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tower::ServiceExt;

use crate::run_fixture::{Fixture, GATED, JsonAnswer, ids, report, router, send};

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
    check_end("exit 4", "refused", &["4"]).await;
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

/// A run that a guard blocked, by its report.
fn blocked(run_id: &str, deletions: Option<u64>) -> RunReport {
    RunReport {
        outcome: RunOutcome::Refused,
        error: Some("a guard refused to publish".to_owned()),
        blocked_deletions: deletions.map(|count| BlockedDeletions {
            count,
            known: 12,
            digest: "0".repeat(64),
            users: Vec::new(),
        }),
        ..report(run_id, 1)
    }
}

/// Lists of up to 1,000 runs would be too large with them.
#[tokio::test]
async fn details_of_a_blocked_run_are_in_its_document() {
    let fixture = Fixture::new("true");
    let detail = RejectDetail {
        key: "src-data/1.csv".to_owned(),
        code: "type".to_owned(),
        line: Some(2),
        column: Some(9),
        byte_offset: Some(40),
        excerpt: Some("Ada,Lee,soon".to_owned()),
        excerpt_offset: Some(8),
        found: "birthts is \"soon\"".to_owned(),
        expected: "a whole number".to_owned(),
        remedy: "write milliseconds since 1970".to_owned(),
    };
    let notice = |key: &str, code: &str| SourceNotice {
        key: key.to_owned(),
        code: code.to_owned(),
    };
    let report = RunReport {
        notices: vec![notice("src-data/2.csv", "trimmed")],
        rejects: vec![notice("src-data/1.csv", "type")],
        reject_details: vec![detail],
        ..blocked("blocked", Some(11))
    };
    fixture.put_report(&report).await;
    let run = fixture.get("/runs/blocked").await.body;
    assert_eq!(
        run["rejects"],
        json!([{ "key": "src-data/1.csv", "code": "type", "help": "/docs/rejects#type" }])
    );
    assert_eq!(run["notices"][0]["help"], "/docs/rejects#trimmed");
    let detail = &run["reject_details"][0];
    assert_eq!(
        (&detail["line"], &detail["found"], &detail["help"]),
        (&json!(2), &json!("birthts is \"soon\""), &json!("/docs/rejects#type"))
    );
    assert_eq!(run["blocked_deletions"], json!({ "count": 11, "known": 12, "users": [] }));
    let runs = fixture.get("/runs").await.body;
    for field in ["notices", "rejects", "reject_details", "blocked_deletions"] {
        assert_eq!(runs["runs"][0][field], json!(null), "{field}");
    }
}

#[tokio::test]
async fn deletions_of_a_blocked_run_are_permitted() {
    let fixture = Fixture::new("echo $2 $3 > $1/arguments; echo started >> $1/children");
    fixture.put_report(&blocked("blocked", Some(11))).await;
    fixture.put_report(&blocked("rejected", None)).await;
    fixture.put_report(&report("well", 2)).await;
    let request = Request::post("/data")
        .header("content-type", "application/json")
        .header("prefer", "wait=60");
    let run = fixture.send(request, r#"{"allow_mass_delete_of":"blocked"}"#).await;
    assert_eq!(
        (&run.body["state"], &run.body["allow_mass_delete_of"]),
        (&json!("succeeded"), &json!("blocked"))
    );
    let arguments = fs::read_to_string(fixture.dir.path().join("arguments")).unwrap();
    assert_eq!(arguments, "--allow-mass-delete-of blocked\n");
    for run_id in ["rejected", "well", "unknown"] {
        let refused = fixture
            .post_json(None, &json!({ "allow_mass_delete_of": run_id }).to_string())
            .await;
        assert_eq!(
            (refused.status, &refused.body["type"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("/docs/problems#nothing-blocked")),
            "{run_id}"
        );
        assert!(refused.body["detail"].as_str().unwrap().contains(run_id), "{}", refused.body);
    }
    assert_eq!(fixture.children(), 1);
}

#[tokio::test]
async fn deletions_of_an_active_run_are_not_blocked_yet() {
    let fixture = Fixture::new(GATED);
    let run = fixture.post(&[]).await;
    let refused = fixture
        .post_json(None, &json!({ "allow_mass_delete_of": run.body["id"] }).to_string())
        .await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (StatusCode::CONFLICT, &json!("/docs/problems#run-active"))
    );
    fixture.launcher.shut_down().await;
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

#[tokio::test]
async fn delete_stops_active_runs_only() {
    let fixture = Fixture::new(GATED);
    let run = fixture.post(&[]).await;
    let location = run.headers["location"].to_str().unwrap();
    let delete = || fixture.send(Request::delete(location), Body::empty());
    let stopping = delete().await;
    assert_eq!((stopping.status, &stopping.body["id"]), (StatusCode::ACCEPTED, &run.body["id"]));
    fixture.launcher.shut_down().await;
    assert_eq!(fixture.get(location).await.body["state"], json!("stopped"));
    let late = delete().await;
    assert_eq!(
        (late.status, &late.body["type"]),
        (StatusCode::CONFLICT, &json!("/docs/problems#run-ended"))
    );

    fixture.put_report(&report("by-another-server", 1)).await;
    for (id, status) in [
        ("by-another-server", StatusCode::CONFLICT),
        ("never-was", StatusCode::NOT_FOUND),
        ("no%20id", StatusCode::NOT_FOUND),
    ] {
        let answer = fixture.send(Request::delete(format!("/runs/{id}")), Body::empty()).await;
        assert_eq!(answer.status, status, "{id}: {}", answer.body);
    }
}

#[tokio::test]
async fn stopped_run_is_not_failed_and_unresponsive_child_is_killed() {
    let fixture = Fixture::new(GATED);
    let run = fixture.post(&[]).await;
    let run_id = RunId::parse(run.body["id"].as_str().unwrap()).unwrap();
    fixture.launcher.stop(&run_id).await.unwrap();
    fixture.launcher.shut_down().await;
    let ended = fixture.get(run.headers["location"].to_str().unwrap()).await;
    assert_eq!(ended.body["state"], json!("stopped"));
    assert!(ended.body["error"].as_str().unwrap().contains("signal 15"), "{}", ended.body);

    let deaf = Fixture::new("trap '' TERM; echo > $1/ready; read _ < $1/gate");
    let run = deaf.post(&[]).await;
    tokio::fs::read(deaf.dir.path().join("ready")).await.unwrap();
    deaf.launcher.shut_down().await;
    let ended = deaf.get(run.headers["location"].to_str().unwrap()).await;
    assert_eq!(ended.body["state"], json!("stopped"));
    assert!(ended.body["error"].as_str().unwrap().contains("signal 9"), "{}", ended.body);
    assert_eq!(deaf.post(&[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
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

#[tokio::test]
async fn runs_are_listed_newest_first_without_duplicates() {
    let fixture = Fixture::new("exit 0");
    // The reports are written in another order than the runs started.
    for (run_id, hour) in [("b", 2), ("c", 3), ("a", 1)] {
        fixture.put_report(&report(run_id, hour)).await;
    }
    fixture.put("processed_data/runs/broken.json", "{").await;
    fixture.put("processed_data/runs/empty.json", "").await;
    fixture
        .put("processed_data/runs/other.json", &serde_json::to_string(&report("a", 1)).unwrap())
        .await;
    fixture.put("processed_data/runs/huge.json", &"x".repeat(300_000)).await;
    fixture.put("processed_data/runs/notes.txt", "").await;
    let run = fixture.post(&[("prefer", "wait=60")]).await.body;
    let run_id = run["id"].as_str().unwrap();
    assert_eq!((&run["counts"], &run["version"]), (&Value::Null, &Value::Null));
    let listed = fixture.get("/runs").await;
    assert_eq!(ids(&listed), [run_id, "c", "b", "a"]);
    assert!(!listed.headers.contains_key("datalake-runs-stale"));
    // Once its report is written, the run is listed with the report, and only once.
    fixture.put_report(&report(run_id, 480_000)).await;
    let listed = fixture.get("/runs?limit=2").await;
    assert_eq!(ids(&listed), [run_id, "c"]);
    assert_eq!(listed.body["runs"][0]["counts"]["added"], json!(3));
    assert_eq!(listed.body["runs"][0]["notices"], Value::Null);
    let one = fixture.get("/runs/c").await.body;
    assert_eq!(
        (
            &one["elapsed_ms"],
            &one["version"],
            &one["committed"],
            &one["requests"]["list"],
            &one["notices"][0]["code"]
        ),
        (&json!(2_001), &json!(7), &json!(true), &json!(1), &json!("bom"))
    );
    // A run that is retried under its name replaces its report.
    fixture
        .put_report(&RunReport {
            outcome: RunOutcome::Refused,
            ..report("c", 3)
        })
        .await;
    assert_eq!(fixture.get("/runs").await.body["runs"][1]["state"], json!("refused"));
}

#[tokio::test]
async fn malformed_list_parameters_return_400() {
    let fixture = Fixture::new("exit 0");
    for (path, status) in [
        ("/runs?limit=0", 400),
        ("/runs?limit=1001", 400),
        ("/runs?limit=", 400),
        ("/runs?limit=+5", 400),
        ("/runs?limit=5&limit=5", 400),
        ("/runs?limits=5", 400),
        ("/runs?limit=1000", 200),
        ("/runs/none", 404),
        ("/runs/-", 404),
        ("/runs/none?x=1", 400),
    ] {
        assert_eq!(fixture.get(path).await.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn cached_runs_are_listed_while_the_store_is_down() {
    let fixture = Fixture::new(GATED);
    fixture.put_report(&report("a", 1)).await;
    fixture.put_report(&report("b", 2)).await;
    assert_eq!(ids(&fixture.get("/runs?limit=1").await), ["b"]);
    fixture.is_store_down.store(true, Ordering::SeqCst);
    let run = fixture.post(&[]).await.body;
    let listed = fixture.get("/runs").await;
    assert_eq!(
        (listed.status, &listed.headers["datalake-runs-stale"]),
        (StatusCode::OK, &"true".parse().unwrap())
    );
    assert_eq!(ids(&listed), [run["id"].as_str().unwrap(), "b"]);
    assert_eq!(fixture.get("/runs/b").await.body["state"], json!("succeeded"));
    assert_eq!(fixture.get("/runs/a").await.status, StatusCode::SERVICE_UNAVAILABLE);
    fixture.is_store_down.store(false, Ordering::SeqCst);
    assert_eq!(ids(&fixture.get("/runs").await), [run["id"].as_str().unwrap(), "b", "a"]);
}

/// A run without changes commits no version: the data is as old as the last successful run.
#[tokio::test]
async fn metrics_show_the_outcome_of_the_last_run() {
    let metrics = async |fixture: &Fixture| {
        // A server reads reports every 30 seconds, and on requests for runs.
        send(&fixture.router, Request::get("/runs"), "").await;
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let body = fixture.router.clone().oneshot(request).await.unwrap().into_body();
        String::from_utf8(to_bytes(body, 1_000_000).await.unwrap().to_vec()).unwrap()
    };
    let fixture = Fixture::new(GATED);
    assert!(!metrics(&fixture).await.contains("datalake_last_run_succeeded"));
    fixture.put_report(&report("a", 1)).await;
    assert!(metrics(&fixture).await.contains("datalake_last_run_succeeded 1"));
    let failed = RunReport {
        outcome: RunOutcome::Failed,
        ..report("b", 2)
    };
    fixture.put_report(&failed).await;
    assert!(metrics(&fixture).await.contains("datalake_last_run_succeeded 0"));
}
