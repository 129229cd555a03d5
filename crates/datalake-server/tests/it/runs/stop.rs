//! `DELETE /runs/{id}`, and the end of children.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_core::run::RunId;
use datalake_runs::launcher::RunLauncher;
use serde_json::json;

use crate::run_fixture::{Fixture, GATED, report};

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
