//! The names that `/metrics` exposes, which dashboards and alerts use.

use std::collections::BTreeSet;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use datalake_core::{
    keys,
    run::{Counts, RunOutcome, RunReport},
};
use datalake_store::bucket::PutMode;
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    fixture::{Lake, USERS, put},
    run_fixture::report,
};

/// A change of these names breaks dashboards and alerts of operators.
const EXPOSED: &str = "\
datalake_data_age_seconds gauge
datalake_http_request_duration_seconds histogram
datalake_http_requests_total counter
datalake_last_run_added gauge
datalake_last_run_changed gauge
datalake_last_run_csv_listed gauge
datalake_last_run_csv_read gauge
datalake_last_run_duration_seconds gauge
datalake_last_run_end_timestamp_seconds gauge
datalake_last_run_ignored gauge
datalake_last_run_images_copied gauge
datalake_last_run_images_listed gauge
datalake_last_run_images_read gauge
datalake_last_run_images_removed gauge
datalake_last_run_listed gauge
datalake_last_run_normalized gauge
datalake_last_run_rejected gauge
datalake_last_run_rejected_new gauge
datalake_last_run_rejects_open gauge
datalake_last_run_removed gauge
datalake_last_run_succeeded gauge
datalake_last_run_users gauge
datalake_last_run_warnings gauge
datalake_rejects_open gauge
datalake_table_age_seconds gauge
datalake_table_checked_timestamp_seconds gauge
datalake_table_readable gauge
datalake_table_rows gauge
datalake_table_version gauge
";

async fn put_report(lake: &Lake, report: &RunReport) {
    let bytes = serde_json::to_vec(report).unwrap().into();
    let key = keys::run_report(&report.run_id);
    lake.bucket
        .put(&key, bytes, PutMode::Replace, &std::collections::BTreeMap::new())
        .await
        .unwrap();
    // A server reads reports every 30 seconds, and on requests for runs.
    lake.get("/runs").await;
}

/// The metrics of a server after one request, for a lake with a table and a run.
async fn scraped() -> String {
    let lake = Lake::of_users().await;
    put_report(&lake, &report("a", 1)).await;
    lake.get("/data").await;
    lake.get("/metrics").await.body
}

/// Names and types, sorted; each has a help text.
fn exposed(text: &str) -> String {
    let of = |start: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(start));
        lines.map(|line| format!("{}\n", line.trim())).collect()
    };
    let kinds = of("# TYPE ");
    let named: BTreeSet<String> = kinds.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let described: BTreeSet<String> = of("# HELP ")
        .iter()
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(named, described);
    kinds.into_iter().collect()
}

#[tokio::test]
async fn exposed_names() {
    assert_eq!(exposed(&scraped().await), EXPOSED);
}

#[tokio::test]
async fn last_report_is_exposed_as_metrics() {
    let lake = Lake::of_users().await;
    let check = async |lines: &[&str]| {
        let text = lake.get("/metrics").await.body;
        for line in lines {
            assert!(text.lines().any(|found| found == *line), "missing {line} in\n{text}");
        }
    };
    assert!(
        !lake.get("/metrics").await.body.contains("\ndatalake_last_run_"),
        "there was no run"
    );
    put_report(&lake, &report("a", 1)).await;
    check(&[
        "datalake_last_run_added 3",
        "datalake_last_run_removed 0",
        "datalake_last_run_duration_seconds 2.001",
        "datalake_last_run_end_timestamp_seconds 3602",
        "datalake_last_run_succeeded 1",
    ])
    .await;
    let failed = RunReport {
        outcome: RunOutcome::Failed,
        counts: Counts {
            rejected: 7,
            ..Counts::default()
        },
        ..report("b", 2)
    };
    put_report(&lake, &failed).await;
    check(&[
        "datalake_last_run_added 0",
        "datalake_last_run_rejected 7",
        "datalake_last_run_end_timestamp_seconds 7202",
        "datalake_last_run_succeeded 0",
    ])
    .await;
}

/// The names of metrics in a text; series of a histogram count as the histogram.
fn named_in(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let starts = text.match_indices("datalake_").map(|(start, _)| &text[start..]);
    let words = starts.map(|rest| rest.split(|letter: char| !is_part(letter)).next().unwrap());
    let of_series = |word: &str| {
        let series = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end));
        series.unwrap_or(word).to_owned()
    };
    words.map(of_series).collect()
}

fn known() -> BTreeSet<String> {
    EXPOSED.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

/// The panels query existing metrics only, and every metric is on a panel.
#[test]
fn the_dashboard_asks_for_what_is_exposed() {
    let text = include_str!("../../../../helm/datalake/dashboards/datalake.json");
    let dashboard: Value = serde_json::from_str(text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let asked: BTreeSet<_> = targets.flat_map(|target| named_in(target["expr"].as_str().unwrap())).collect();
    let (asked_in_vain, not_shown): (Vec<_>, Vec<_>) = (
        asked.difference(&known()).cloned().collect(),
        known().difference(&asked).cloned().collect(),
    );
    assert_eq!(asked_in_vain, [""; 0]);
    // Other panels show the same.
    assert_eq!(
        not_shown,
        [
            "datalake_last_run_rejected_new",
            "datalake_last_run_rejects_open",
            "datalake_last_run_users"
        ]
    );
    let sources = panels
        .iter()
        .filter(|panel| panel["type"] != "row")
        .map(|panel| &panel["datasource"]["uid"]);
    assert!(sources.into_iter().all(|uid| uid == "${datasource}"));
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are unique");
}

#[test]
fn the_alerts_ask_for_what_is_exposed() {
    let text = include_str!("../../../../helm/datalake/templates/prometheusrule.yaml");
    let asked: BTreeSet<_> = text.lines().filter(|line| line.contains("expr:")).flat_map(named_in).collect();
    assert!(asked.len() >= 3 && asked.is_subset(&known()), "{asked:?}");
}

/// The number of series depends on routes and statuses, never on paths.
#[tokio::test]
async fn requests_are_measured_by_route_and_status() {
    let lake = Lake::empty();
    lake.commit(USERS.iter().map(|user| put(user.0, user.1, user.2, user.3)).collect())
        .await;
    lake.watch.refresh_now().await;
    for path in ["/data/1", "/data/1000", "/data/unknown", "/nowhere", "/elsewhere"] {
        lake.get(path).await;
    }
    let posted = Request::post("/data/1").body(Body::empty()).unwrap();
    let answer = lake.router().oneshot(posted).await.unwrap();
    to_bytes(answer.into_body(), 10_000).await.unwrap();
    let text = lake.get("/metrics").await.body;
    let counts = text
        .lines()
        .filter(|line| line.starts_with("datalake_http_request_duration_seconds_count"));
    let mut counts: Vec<_> = counts.map(|line| line.split_once('{').unwrap().1).collect();
    counts.sort_unstable();
    assert_eq!(
        counts,
        [
            "route=\"/data/{user_id}\",status=\"200\"} 2",
            "route=\"/data/{user_id}\",status=\"404\"} 1",
            "route=\"/data/{user_id}\",status=\"405\"} 1",
            "route=\"none\",status=\"404\"} 2",
        ]
    );
}
