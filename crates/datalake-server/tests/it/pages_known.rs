//! What pages say when somebody does not answer, or a run does not come.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::StatusCode;
use datalake_api::request::auth::{Access, Token};
use datalake_core::{
    keys,
    report::{RunId, RunOutcome},
};
use datalake_runs::{
    idempotency::IdempotencyKey,
    launcher::{LaunchError, Launched, NextRun, RunLauncher, RunRequest},
    run::Run,
};
use datalake_store::bucket::{Metadata, PutMode};
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::Instant};

use crate::{
    fixture::{Lake, USERS, put, refusals},
    pages::{at, browse, launcher, leave, report, values},
};

/// A launcher whose own server hangs.
#[derive(Debug)]
struct Hanging(watch::Sender<()>);

#[async_trait]
impl RunLauncher for Hanging {
    async fn launch(&self, _: RunRequest) -> Result<Launched, LaunchError> {
        std::future::pending().await
    }

    fn run_id_of(&self, _: &IdempotencyKey) -> RunId {
        RunId::parse("wished").unwrap()
    }

    async fn runs(&self) -> Vec<Run> {
        std::future::pending().await
    }

    async fn stop(&self, _: &RunId) -> Result<(), LaunchError> {
        std::future::pending().await
    }

    async fn next_run(&self) -> NextRun {
        NextRun::At(at("2026-11-24T13:00:00Z"))
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// A lake with users, committed by run-1 at that time.
async fn committed_at(lake: &Lake, at: Timestamp) {
    let rows = USERS.iter().map(|user| put(user.0, user.1, user.2, user.3)).collect();
    lake.commit_as("run-1", at, rows, &refusals()).await;
    lake.watch.refresh_now().await;
}

/// Nobody waits for a launcher that hangs: what is known is drawn within two seconds.
#[tokio::test(start_paused = true)]
async fn a_launcher_that_hangs_keeps_no_page_back() {
    let lake = Lake::launching(|_| Arc::new(Hanging(watch::Sender::new(()))));
    committed_at(&lake, at("2026-11-24T11:00:00Z")).await;
    let report = report(5, RunOutcome::Succeeded, 1, None);
    // The report is read whatever the launcher does.
    let bytes = serde_json::to_vec(&report).unwrap().into();
    let key = keys::run_report(&report.run_id);
    lake.bucket.put(&key, bytes, PutMode::Create, &Metadata::new()).await.unwrap();
    for (path, status, words) in [
        ("/", StatusCode::OK, ">7<"),
        ("/page/people", StatusCode::OK, "0001"),
        ("/page/people/1000", StatusCode::OK, "Bea"),
        ("/page/rejects", StatusCode::OK, "src-data/1004.csv"),
        ("/page/runs", StatusCode::OK, "run-at-5"),
        ("/page/runs/run-at-5", StatusCode::OK, "run-at-5"),
        ("/page/runs/unheard", StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ("/page/versions", StatusCode::OK, "run-1"),
    ] {
        let begun = Instant::now();
        let page = browse(&lake, path).await;
        let waited = begun.elapsed();
        assert!(waited <= Duration::from_secs(2), "{path}: {waited:?}");
        assert_eq!(page.status, status, "{path}: {}", page.body);
        assert!(page.body.contains(words), "{path}: {}", page.body);
    }
    // Whoever has let one wait in vain is not waited for at once again.
    let begun = Instant::now();
    browse(&lake, "/").await;
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
}

/// The banners of the overview where the data was committed at a time, and a schedule says when the last run was due.
async fn check_age(committed: &str, due: Option<&'static str>, expected: &[&str]) -> String {
    let launcher = launcher();
    if let Some(due) = due {
        launcher.set_schedule(Box::new(move |_| Some(at(due))));
    }
    let lake = Lake::launching(|_| Arc::new(launcher));
    committed_at(&lake, at(committed)).await;
    let page = browse(&lake, "/").await.body;
    assert_eq!(
        values(&page, "data-banner"),
        expected,
        "committed at {committed}, a run was due at {due:?}"
    );
    page
}

/// It is noon. Data is too old where a run that was due has not confirmed it, and where no schedule is known, after two hours.
#[tokio::test]
async fn data_is_too_old_by_its_schedule() {
    check_age("2026-11-24T10:00:00Z", None, &[]).await;
    let page = check_age("2026-11-24T09:59:59Z", None, &["old"]).await;
    assert!(page.contains("an hour is promised") && page.contains("or start one here"), "{page}");
    // Once a day, and today's run was there.
    check_age("2026-11-24T03:00:01Z", Some("2026-11-24T03:00:00Z"), &[]).await;
    check_age("2026-11-24T02:56:00Z", Some("2026-11-24T03:00:00Z"), &[]).await;
    let page = check_age("2026-11-23T03:00:01Z", Some("2026-11-24T03:00:00Z"), &["old"]).await;
    assert!(page.contains("one was due at") && page.contains("2026-11-24 03:00 UTC"), "{page}");
    assert!(!page.contains("an hour is promised"), "{page}");
}

/// Which times the schedule is asked for: those of runs that have had an hour.
#[tokio::test]
async fn a_run_is_given_an_hour() {
    let launcher = launcher();
    let hourly = |at: Timestamp| Timestamp::from_second(at.as_second() / 3_600 * 3_600).ok();
    launcher.set_schedule(Box::new(hourly));
    let lake = Lake::launching(|_| Arc::new(launcher));
    committed_at(&lake, at("2026-11-24T10:00:00Z")).await;
    // The one of 11 o'clock was due an hour ago.
    assert_eq!(values(&browse(&lake, "/").await.body, "data-banner"), ["old"]);
    let later = report(0, RunOutcome::Succeeded, 0, None);
    leave(&lake, &later).await;
    assert_eq!(values(&browse(&lake, "/").await.body, "data-banner"), Vec::<&str>::new());
}

/// Where this server starts no runs, nobody is told to start one.
#[tokio::test]
async fn a_start_is_spoken_of_where_it_is_offered() {
    let lake = Lake::empty();
    committed_at(&lake, at("2026-11-24T12:00:00Z") - SignedDuration::from_hours(3)).await;
    let page = browse(&lake, "/").await.body;
    assert_eq!(values(&page, "data-banner"), ["old"]);
    assert!(!page.contains("start one"), "{page}");
}

/// A problem is looked at again when something changes; one that says no more than that nobody may read is not.
#[tokio::test]
async fn problems_are_followed_as_well() {
    let mut lake = Lake::empty();
    lake.watch.refresh_now().await;
    for path in ["/page/people", "/page/nowhere", "/page/runs/nobody"] {
        assert_eq!(values(&browse(&lake, path).await.body, "data-live"), ["problem"], "{path}");
    }
    lake.parts.access = Access::ProtectAll(Token::new("right"));
    let page = browse(&lake, "/page/people").await;
    assert_eq!((page.status, values(&page.body, "data-live")), (StatusCode::UNAUTHORIZED, vec![]));
}
