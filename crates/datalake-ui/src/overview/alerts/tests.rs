//! Tests of which banners the overview shows.

use std::sync::Arc;

use datalake_api::snapshots::watch::{TableState, TableStatus};
use datalake_core::run::RunId;
use datalake_runs::run::RunState;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn run(state: RunState) -> Run {
    Run {
        started_at: Some(at(10)),
        ended_at: Some(at(20)),
        error: Some("<b>error</b>".to_owned()),
        ..Run::new(RunId::parse("run-1").unwrap(), state)
    }
}

/// The banners for a table state and the states of runs, the latest first.
#[track_caller]
fn check(state: TableState, is_failing: bool, states: &[RunState], expected: &[&str]) {
    let table = TableStatus {
        state,
        declared: None,
        checked_at: Some(at(5)),
        failing_since: is_failing.then(|| at(6)),
    };
    let status = LakeStatus {
        table: Arc::new(table),
        runs: states.iter().copied().map(run).collect(),
        last_scheduled: None,
        now: at(30),
    };
    let rendered = banners(&status, Dataset::users(), None, RunPermission::Open, at(30)).into_string();
    let names: Vec<&str> = rendered
        .split("data-banner=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(names, expected, "failing: {is_failing}, {states:?}");
    assert!(!rendered.contains("<b>"), "{rendered}");
}

#[test]
fn store_that_was_never_read_has_one_banner() {
    check(TableState::Loading, false, &[], &["not-loaded"]);
    check(TableState::Loading, true, &[], &["not-loaded"]);
}

#[test]
fn lake_without_a_table_has_the_first_steps() {
    check(TableState::Missing, false, &[], &["no-sources"]);
    check(TableState::Missing, true, &[], &["no-sources"]);
    check(TableState::Missing, false, &[RunState::Pending], &["no-sources"]);
}

#[test]
fn lake_with_sources_and_without_a_table_has_no_first_steps() {
    const REPORT: &str = r#"{"run_id":"a","outcome":"succeeded","mode":"incremental","started_at":"2026-11-24T11:00:00Z",
        "ended_at":"2026-11-24T11:00:01Z","elapsed_ms":1000,"version":0,"committed":false,"counts":{"csv_listed":1},"requests":{},
        "notices":[],"rejects":[]}"#;
    let completed = Run {
        report: Some(Arc::new(serde_json::from_str(REPORT).unwrap())),
        ..run(RunState::Ended(RunOutcome::Succeeded))
    };
    let status = LakeStatus {
        table: Arc::new(TableStatus {
            state: TableState::Missing,
            ..TableStatus::default()
        }),
        runs: vec![run(RunState::Running), completed],
        last_scheduled: None,
        now: at(30),
    };
    assert!(matches!(alerts(&status).as_slice(), [Alert::NoTable(Some(_))]));
}

#[test]
fn last_completed_run_that_failed_has_a_banner() {
    use RunOutcome::{Blocked, Failed, Misconfigured, Stopped, Succeeded};
    use RunState::{Ended, Running};
    check(TableState::Missing, false, &[Ended(Failed)], &["failed"]);
    check(TableState::Missing, false, &[Running, Ended(Blocked)], &["blocked"]);
    check(
        TableState::Missing,
        false,
        &[Ended(Stopped), Ended(Misconfigured)],
        &["misconfigured"],
    );
    check(TableState::Missing, false, &[Ended(Succeeded), Ended(Failed)], &["no-sources"]);
}
