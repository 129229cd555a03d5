//! `GET /runs`, and the metrics of the last run.

use std::sync::atomic::Ordering;

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use datalake_core::run::{RunOutcome, RunReport};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::run_fixture::{Fixture, GATED, ids, report, send};

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
            outcome: RunOutcome::Blocked,
            ..report("c", 3)
        })
        .await;
    assert_eq!(fixture.get("/runs").await.body["runs"][1]["state"], json!("blocked"));
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
