//! Runs that a guard blocked, and the permission of their deletions.

use std::fs;

use axum::http::{Request, StatusCode};
use datalake_core::run::{BlockedDeletions, RejectDetail, RunOutcome, RunReport, SourceNotice};
use serde_json::json;

use crate::run_fixture::{Fixture, GATED, report};

/// A run that a guard blocked, by its report.
fn blocked(run_id: &str, deletions: Option<u64>) -> RunReport {
    RunReport {
        outcome: RunOutcome::Blocked,
        error: Some("a guard refused to publish".to_owned()),
        blocked_deletions: deletions.map(|count| BlockedDeletions {
            count,
            known: 12,
            rejected: 0,
            digest: "0".repeat(64),
            users: Vec::new(),
            folders: Vec::new(),
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
    assert_eq!(
        run["blocked_deletions"],
        json!({ "count": 11, "known": 12, "rejected": 0, "users": [] })
    );
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
