//! Live updates: an open page learns of changes by long polling.

use std::time::Duration;

use axum::http::StatusCode;
use datalake_api::request::auth::{Access, Token};
use datalake_core::run::RunOutcome;
use tokio::time::Instant;

use crate::{
    fixture::{Lake, put},
    pages::{browse, checked, load_report, report},
};

/// The ID of the state that the overview shows.
async fn shown_state(lake: &Lake) -> String {
    let page = checked(&browse(lake, "/").await);
    page.attribute("main", "data-live").to_owned()
}

/// The response to a long poll while `change` happens.
async fn poll_during(lake: &Lake, state: &str, change: impl Future<Output = ()>) -> String {
    let path = format!("/page/live?state={state}");
    let (answer, ()) = tokio::join!(lake.get(&path), change);
    assert_eq!(answer.status, StatusCode::OK);
    answer.body
}

#[tokio::test(start_paused = true)]
async fn poll_without_a_change_times_out_with_200() {
    let lake = Lake::of_users().await;
    let state = shown_state(&lake).await;
    let started_at = Instant::now();
    let answer = lake.get(&format!("/page/live?state={state}")).await;
    assert_eq!(
        (answer.status, answer.body.as_str(), answer.header("cache-control")),
        (StatusCode::OK, state.as_str(), "no-store")
    );
    assert_eq!(started_at.elapsed(), Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn new_version_ends_the_poll() {
    let lake = Lake::of_users().await;
    let state = shown_state(&lake).await;
    let change = async {
        lake.commit(vec![put("2000", "New", "1999-01-01", false)]).await;
        lake.watch.refresh_now().await;
    };
    let current = poll_during(&lake, &state, change).await;
    assert_ne!(current, state);
    assert_eq!(current, shown_state(&lake).await);
}

#[tokio::test(start_paused = true)]
async fn new_report_ends_the_poll() {
    let lake = Lake::of_users().await;
    let state = shown_state(&lake).await;
    let report = report(9, RunOutcome::Succeeded, 1, None);
    assert_ne!(poll_during(&lake, &state, load_report(&lake, &report)).await, state);
}

#[tokio::test(start_paused = true)]
async fn store_failure_ends_the_poll() {
    let lake = Lake::of_users().await;
    let state = shown_state(&lake).await;
    let change = async {
        lake.set_down(true);
        lake.watch.refresh_now().await;
    };
    assert_ne!(poll_during(&lake, &state, change).await, state);
}

#[tokio::test]
async fn poll_with_another_state_returns_at_once() {
    let lake = Lake::of_users().await;
    for query in ["", "?state=", "?state=nonsense"] {
        let answer = lake.get(&format!("/page/live{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        assert!(answer.body.starts_with("0-"), "{}", answer.body);
    }
}

#[tokio::test]
async fn problem_pages_are_refreshed() {
    let lake = Lake::empty();
    lake.watch.refresh_now().await;
    for path in ["/page/users", "/page/nowhere", "/page/runs/unknown"] {
        let page = checked(&browse(&lake, path).await);
        assert_eq!(page.values("data-live"), ["problem"], "{path}");
    }
}

#[tokio::test]
async fn sign_in_page_is_not_refreshed() {
    let mut lake = Lake::empty();
    lake.parts.access = Access::ProtectAll(Token::new("right"));
    let answer = browse(&lake, "/page/users").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!checked(&answer).has("[data-live]"));
}
