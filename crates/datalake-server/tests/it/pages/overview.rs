//! The overview: statistics, charts, banners and the button that starts a run.

use std::{collections::BTreeSet, sync::Arc};

use axum::http::StatusCode;
use datalake_api::request::auth::{Access, Token};
use datalake_core::run::RunOutcome;
use datalake_runs::launcher::NextRun;

use crate::{
    fixture::{Lake, USERS, put, refusals},
    html::Document,
    pages::{at, browse, checked, launcher, load_report, report},
};

async fn overview(lake: &Lake) -> Document {
    let answer = browse(lake, "/").await;
    assert_eq!(answer.status, StatusCode::OK);
    let page = checked(&answer);
    assert_eq!(page.values("data-view"), ["overview"]);
    page
}

#[tokio::test]
async fn statistics_match_the_lake() {
    let lake = Lake::of_users().await;
    load_report(&lake, &report(5, RunOutcome::Succeeded, 1_234, None)).await;
    let page = overview(&lake).await;
    for (id, expected) in [
        ("users", "7"),
        ("with-image", "4"),
        ("without-image", "3"),
        ("average-age", "33.5"), // 46, 22, 36, 30, 22, 45; one user is not yet born.
        ("rejects-open", "1"),
        ("data-age", "55 min ago"),
    ] {
        assert_eq!(page.text(&format!("#{id} dd.value")), expected, "{id}");
    }
    assert!(!page.has("[data-banner]"));
}

#[tokio::test]
async fn last_run_has_its_changes_and_duration() {
    let lake = Lake::of_users().await;
    load_report(&lake, &report(5, RunOutcome::Succeeded, 1_234, None)).await;
    let page = overview(&lake).await;
    assert_eq!(page.attribute("#last-run a", "href"), "/page/runs/run-at-5");
    let text = page.text("#last-run");
    assert!(text.contains("1,234 added, in 30.0 s"), "{text}");
}

#[tokio::test]
async fn each_age_links_to_its_users() {
    let lake = Lake::of_users().await;
    let page = overview(&lake).await;
    let links: BTreeSet<_> = page
        .attributes("section[aria-labelledby=chart-age] a", "href")
        .into_iter()
        .collect();
    let expected: BTreeSet<_> = [22, 30, 36, 45, 46]
        .map(|age| format!("/page/users?min_age={age}&max_age={age}"))
        .into();
    assert!(links.into_iter().eq(&expected));
    assert!(
        page.texts("svg title").contains(&"Age 22: 2 users, 1 with image".to_owned()),
        "{:?}",
        page.texts("svg title")
    );
    let statistics = lake.get("/stats?min_age=22&max_age=22").await.json();
    assert_eq!(
        (statistics["count"].as_u64(), statistics["with_image"].as_u64()),
        (Some(2), Some(1))
    );
}

#[tokio::test]
async fn chart_links_are_in_the_table_and_not_in_the_tab_order() {
    let lake = Lake::of_users().await;
    load_report(&lake, &report(5, RunOutcome::Succeeded, 1, None)).await;
    let page = overview(&lake).await;
    let chart_links = page.attributes("svg a", "href");
    assert!(!chart_links.is_empty());
    assert_eq!(page.count("svg a"), page.count("svg a[tabindex='-1']"));
    let table_links = page.attributes("table a", "href");
    for href in chart_links {
        assert!(table_links.contains(&href), "{href} is not in a table");
    }
}

#[tokio::test]
async fn overview_does_not_read_the_store() {
    let lake = Lake::of_users().await;
    load_report(&lake, &report(5, RunOutcome::Succeeded, 1, None)).await;
    let before = lake.reads();
    overview(&lake).await;
    assert_eq!(lake.reads(), before);
}

async fn check_banners(lake: &Lake, expected: &[&str]) -> Document {
    let page = overview(lake).await;
    assert_eq!(page.values("data-banner"), expected);
    page
}

#[tokio::test]
async fn lake_without_a_table_has_the_first_steps() {
    let lake = Lake::empty();
    check_banners(&lake, &["not-loaded"]).await;
    lake.watch.refresh_now().await;
    check_banners(&lake, &["no-sources"]).await;
}

#[tokio::test]
async fn error_of_a_failed_run_is_escaped() {
    let lake = Lake::empty();
    lake.watch.refresh_now().await;
    let error = "<img src=x onerror=alert(1)>";
    load_report(&lake, &report(1, RunOutcome::Failed, 0, Some(error))).await;
    let page = check_banners(&lake, &["failed"]).await;
    assert!(page.text("[data-banner=failed]").contains("There is no data yet."));
    assert_eq!(page.text("[data-banner=failed] [data-error]"), format!("{error}."));
}

#[tokio::test]
async fn stale_data_has_a_banner_until_a_run_confirms_it() {
    let lake = Lake::empty();
    let rows = USERS.iter().map(|user| put(user.0, user.1, user.2, user.3)).collect();
    lake.commit_as("run-1", at("2026-11-24T09:00:00Z"), rows, &refusals()).await;
    lake.watch.refresh_now().await;
    check_banners(&lake, &["stale"]).await;
    load_report(&lake, &report(2, RunOutcome::Blocked, 0, None)).await;
    check_banners(&lake, &["stale", "blocked"]).await;
    // A run without changes confirms the data.
    load_report(&lake, &report(3, RunOutcome::Succeeded, 0, None)).await;
    let page = check_banners(&lake, &[]).await;
    assert!(page.text("#last-run").contains("no changes"));
}

#[tokio::test]
async fn unreachable_store_has_a_banner_and_keeps_the_statistics() {
    let lake = Lake::of_users().await;
    lake.set_down(true);
    lake.watch.refresh_now().await;
    let page = check_banners(&lake, &["store-unreachable"]).await;
    assert_eq!(page.text("#users dd.value"), "7");
    lake.set_down(false);
    lake.watch.refresh_now().await;
    check_banners(&lake, &[]).await;
}

#[tokio::test]
async fn server_without_a_launcher_has_no_start_button() {
    let page = overview(&Lake::of_users().await).await;
    assert!(!page.has("#start-run"));
    assert_eq!(page.text("#next-run"), "Unknown: runs are started externally.");
}

#[tokio::test]
async fn start_button_has_the_curl_command() {
    let lake = Lake::launching(|_| Arc::new(launcher()));
    let page = overview(&lake).await;
    assert_eq!(page.text("#start-run code"), "curl -X POST 'http://lake.example.com/data'");
    assert!(!page.has("#start-run[data-needs-token]"));
}

#[tokio::test]
async fn start_button_asks_for_a_required_token() {
    let mut lake = Lake::launching(|_| Arc::new(launcher()));
    lake.parts.access = Access::ProtectRuns(Token::new("right"));
    let answer = browse(&lake, "/").await;
    assert!(!answer.body.contains("right\""), "the page does not contain the token");
    let page = checked(&answer);
    assert!(page.has("#start-run[data-needs-token]"));
    assert!(page.text("#start-run code").contains("Bearer $TOKEN"));
}

#[tokio::test]
async fn next_run_follows_the_schedule() {
    let launcher = launcher();
    let lake = Lake::launching(|_| Arc::new(launcher.clone()));
    launcher.set_next_run(NextRun::At(at("2026-11-24T13:00:00Z")));
    assert_eq!(overview(&lake).await.text("#next-run"), "2026-11-24 13:00 UTC (in 1 h)");
    launcher.set_next_run(NextRun::Never);
    assert!(overview(&lake).await.text("#next-run").starts_with("No run is scheduled"));
}
