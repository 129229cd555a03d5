//! Pages while the launcher does not respond, and stale data.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::StatusCode;
use datalake_core::run::{RunId, RunOutcome};
use datalake_runs::{
    idempotency::IdempotencyKey,
    launcher::{LaunchError, Launched, NextRun, RunLauncher, RunRequest},
    run::Run,
};
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::Instant};

use crate::{
    fixture::{Lake, USERS, put, refusals},
    html::Document,
    pages::{at, browse, checked, launcher, load_report, put_report, report, run_id},
};

/// A launcher that never responds.
#[derive(Debug)]
struct UnresponsiveLauncher(watch::Sender<()>);

#[async_trait]
impl RunLauncher for UnresponsiveLauncher {
    async fn launch(&self, _: RunRequest) -> Result<Launched, LaunchError> {
        std::future::pending().await
    }

    fn run_id_of(&self, _: &IdempotencyKey) -> RunId {
        run_id("requested")
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

/// Commits the fixture's users at a time.
async fn commit_users(lake: &Lake, at: Timestamp) {
    let rows = USERS.iter().map(|user| put(user.0, user.1, user.2, user.3)).collect();
    lake.commit_as("run-1", at, rows, &refusals()).await;
    lake.watch.refresh_now().await;
}

#[tokio::test(start_paused = true)]
async fn unresponsive_launcher_delays_a_page_by_at_most_two_seconds() {
    let lake = Lake::launching(|_| Arc::new(UnresponsiveLauncher(watch::Sender::new(()))));
    commit_users(&lake, at("2026-11-24T11:00:00Z")).await;
    put_report(&lake, &report(5, RunOutcome::Succeeded, 1, None)).await;
    for (path, status, text) in [
        ("/", StatusCode::OK, ">7<"),
        ("/page/users", StatusCode::OK, "0001"),
        ("/page/users/1000", StatusCode::OK, "Bea"),
        ("/page/rejects", StatusCode::OK, "src-data/1004.csv"),
        ("/page/runs", StatusCode::OK, "run-at-5"),
        ("/page/runs/run-at-5", StatusCode::OK, "run-at-5"),
        ("/page/runs/unknown", StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ("/page/versions", StatusCode::OK, "run-1"),
    ] {
        let started_at = Instant::now();
        let page = browse(&lake, path).await;
        let elapsed = started_at.elapsed();
        assert!(elapsed <= Duration::from_secs(2), "{path}: {elapsed:?}");
        assert_eq!(page.status, status, "{path}: {}", page.body);
        assert!(page.body.contains(text), "{path}: {}", page.body);
    }
    // After a timeout, the next request does not wait for the launcher again.
    let started_at = Instant::now();
    browse(&lake, "/").await;
    assert!(started_at.elapsed() < Duration::from_millis(100), "{:?}", started_at.elapsed());
}

/// The overview's banners at noon for data committed at a time, and a schedule whose last run was due at a time.
async fn check_banners(committed: &str, scheduled: Option<&'static str>, expected: &[&str]) -> Document {
    let launcher = launcher();
    if let Some(scheduled) = scheduled {
        launcher.set_schedule(Box::new(move |_| Some(at(scheduled))));
    }
    let lake = Lake::launching(|_| Arc::new(launcher));
    commit_users(&lake, at(committed)).await;
    let page = checked(&browse(&lake, "/").await);
    assert_eq!(
        page.values("data-banner"),
        expected,
        "committed at {committed}, scheduled at {scheduled:?}"
    );
    page
}

#[tokio::test]
async fn data_without_a_schedule_is_stale_after_two_hours() {
    check_banners("2026-11-24T10:00:00Z", None, &[]).await;
    let page = check_banners("2026-11-24T09:59:59Z", None, &["stale"]).await;
    let text = page.text("[data-banner=stale]");
    assert!(
        text.contains("the expected interval is 1 hour") && text.contains("start a run now"),
        "{text}"
    );
}

#[tokio::test]
async fn data_is_stale_if_the_scheduled_run_has_not_confirmed_it() {
    check_banners("2026-11-24T03:00:01Z", Some("2026-11-24T03:00:00Z"), &[]).await;
    check_banners("2026-11-24T02:56:00Z", Some("2026-11-24T03:00:00Z"), &[]).await;
    let page = check_banners("2026-11-23T03:00:01Z", Some("2026-11-24T03:00:00Z"), &["stale"]).await;
    let text = page.text("[data-banner=stale]");
    assert!(text.contains("a run was scheduled for 2026-11-24 03:00 UTC"), "{text}");
}

#[tokio::test]
async fn scheduled_run_has_one_hour_to_confirm_the_data() {
    let launcher = launcher();
    let hourly = |at: Timestamp| Timestamp::from_second(at.as_second() / 3_600 * 3_600).ok();
    launcher.set_schedule(Box::new(hourly));
    let lake = Lake::launching(|_| Arc::new(launcher));
    commit_users(&lake, at("2026-11-24T10:00:00Z")).await;
    // At noon, the run of 11:00 has had one hour.
    assert_eq!(checked(&browse(&lake, "/").await).values("data-banner"), ["stale"]);
    load_report(&lake, &report(0, RunOutcome::Succeeded, 0, None)).await;
    assert!(!checked(&browse(&lake, "/").await).has("[data-banner]"));
}

#[tokio::test]
async fn server_without_a_launcher_does_not_suggest_to_start_a_run() {
    let lake = Lake::empty();
    commit_users(&lake, at("2026-11-24T12:00:00Z") - SignedDuration::from_hours(3)).await;
    let page = checked(&browse(&lake, "/").await);
    assert!(!page.text("[data-banner=stale]").contains("start a run"));
}
