//! The pages of the web UI: what they show is what the API returns.

mod datasets;
mod deadlines;
mod examples;
mod filter_form;
mod frame;
mod live;
mod overview;
mod problems;
mod rejects;
mod runs;
mod size;
mod user;
mod users;
mod versions;

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_core::{
    clock::Clock,
    keys,
    run::{Counts, RunId, RunOutcome, RunReport},
};
use datalake_runs::process::{ProcessLauncher, RunCommand};
use datalake_store::bucket::PutMode;
use futures_util::TryStreamExt;
use jiff::Timestamp;

use crate::{
    fixture::{Answer, Lake, now},
    html::Document,
    run_fixture,
};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Requests a path as a browser does.
async fn browse(lake: &Lake, path: &str) -> Answer {
    let request = Request::get(path).header("accept", BROWSER).header("host", "lake.example.com");
    lake.send(request.body(Body::empty()).unwrap()).await
}

/// The page at a path, which must respond with 200.
async fn page(lake: &Lake, path: &str) -> Document {
    let answer = lake.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    checked(&answer)
}

/// The parsed page, after checks that every page must pass.
#[track_caller]
fn checked(answer: &Answer) -> Document {
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let page = Document::parse(&answer.body);
    assert_eq!(page.count("h1"), 1, "{}", answer.body);
    assert_eq!(page.count("style, [style], [onclick], script:not([src])"), 0, "{}", answer.body);
    let mut ids = page.values("id");
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "IDs are unique: {ids:?}");
    page
}

/// A path responds with a problem, as a page.
async fn check_problem(lake: &Lake, path: &str, status: u16, kind: &str) {
    let answer = lake.get(path).await;
    assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.body);
    let page = checked(&answer);
    assert_eq!(page.values("data-view"), ["problem"], "{path}");
    assert_eq!(page.values("data-problem"), [format!("/docs/problems#{kind}")], "{path}");
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn run_id(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

/// The report of a run that started in a minute of the hour before the fixture's current time.
fn report(minute: u8, outcome: RunOutcome, added: u64, error: Option<&str>) -> RunReport {
    RunReport {
        outcome,
        started_at: at(&format!("2026-11-24T11:{minute:02}:00Z")),
        ended_at: at(&format!("2026-11-24T11:{minute:02}:30Z")),
        elapsed_ms: 30_000,
        version: Some(0),
        counts: Counts {
            csv_listed: 7,
            added,
            ..Counts::default()
        },
        notices: Vec::new(),
        rejects: Vec::new(),
        error: error.map(str::to_owned),
        ..run_fixture::report(&format!("run-at-{minute}"), 0)
    }
}

/// Writes a report into the lake.
async fn put_report(lake: &Lake, report: &RunReport) {
    let bytes = serde_json::to_vec(report).unwrap().into();
    let key = keys::run_report(&report.run_id);
    lake.bucket.put(&key, bytes, PutMode::Replace, &BTreeMap::new()).await.unwrap();
}

/// Writes a report into the lake, and lets the server read it.
async fn load_report(lake: &Lake, report: &RunReport) {
    put_report(lake, report).await;
    assert_eq!(lake.get("/runs").await.status, StatusCode::OK);
}

/// A launcher whose runs succeed at once.
fn launcher() -> ProcessLauncher {
    let command = RunCommand {
        program: "/bin/true".into(),
        arguments: Vec::new(),
        grace_period: Duration::from_millis(50),
    };
    ProcessLauncher::new(command, || run_id("new-run"), Clock::new(now))
}

/// Removes the files of earlier versions, as a cleanup does after a week.
async fn expire_earlier_versions(lake: &Lake) {
    let latest = lake.table.latest().await.unwrap().unwrap();
    let kept: Vec<String> = latest.data_files().iter().map(|segment| segment.key()).collect();
    let objects: Vec<_> = lake.bucket.list(keys::TABLE, None).try_collect().await.unwrap();
    for object in objects.iter().filter(|object| keys::parse_data_file(&object.key).is_some()) {
        if !kept.contains(&object.key) {
            lake.bucket.delete(&object.key, None).await.unwrap();
        }
    }
}
