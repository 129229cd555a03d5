//! The pages: what surrounds every one of them, problems as pages, and the states of the overview.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use datalake_api::request::auth::{Access, Token};
use datalake_core::clock::Clock;
use datalake_core::{
    keys,
    report::{Counts, Requests, RunId, RunMode, RunOutcome, RunReport},
};
use datalake_runs::{
    launcher::NextRun,
    process::{ProcessLauncher, RunCommand},
};
use datalake_store::bucket::PutMode;
use jiff::Timestamp;

use crate::fixture::{Answer, Lake, USERS, now, put, refusals};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

pub(crate) async fn browse(lake: &Lake, path: &str) -> Answer {
    let request = Request::get(path).header("accept", BROWSER).header("host", "lake.example.com");
    lake.send(request.body(Body::empty()).unwrap()).await
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A run that began at a minute of the hour before the fixture's present, and added users.
pub(crate) fn report(minute: u8, outcome: RunOutcome, added: u64, error: Option<&str>) -> RunReport {
    RunReport {
        run_id: RunId::parse(&format!("run-at-{minute}")).unwrap(),
        outcome,
        mode: RunMode::Incremental,
        started_at: at(&format!("2026-11-24T11:{minute:02}:00Z")),
        ended_at: at(&format!("2026-11-24T11:{minute:02}:30Z")),
        elapsed_ms: 30_000,
        version: Some(0),
        committed: Some(true),
        allow_mass_delete_of: None,
        blocked_deletions: None,
        repaired: None,
        counts: Counts {
            csv_listed: 7,
            added,
            ..Counts::default()
        },
        requests: Requests::default(),
        notices: Vec::new(),
        rejects: Vec::new(),
        clock_skew_seconds: None,
        error: error.map(str::to_owned),
    }
}

/// Leaves the report in the lake, and lets the server read it.
pub(crate) async fn leave(lake: &Lake, report: &RunReport) {
    let bytes = serde_json::to_vec(report).unwrap().into();
    let key = keys::run_report(&report.run_id);
    lake.bucket.put(&key, bytes, PutMode::Replace, &BTreeMap::new()).await.unwrap();
    assert_eq!(lake.get("/runs").await.status, StatusCode::OK);
}

pub(crate) fn launcher() -> ProcessLauncher {
    let command = RunCommand {
        program: "/bin/true".into(),
        arguments: Vec::new(),
        grace: Duration::from_millis(50),
    };
    ProcessLauncher::new(command, || RunId::parse("made").unwrap(), Clock::new(now))
}

/// The values of an attribute, in the page's order.
pub(crate) fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    page.split(&format!(" {attribute}=\""))
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

/// What is inside the element of an id, up to the end of that kind of element.
#[track_caller]
fn inside<'a>(page: &'a str, element: &str, id: &str) -> &'a str {
    let begin = page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id} in {page}"));
    let rest = &page[begin..];
    &rest[..rest.find(&format!("</{element}>")).unwrap()]
}

#[track_caller]
fn check_is_page(answer: &Answer, view: &str) {
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{view}");
    assert_eq!(
        answer.header("content-security-policy"),
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    let page = &answer.body;
    assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
    assert_eq!(values(page, "data-view"), [view]);
    for forbidden in [" style=", "<style", " onclick=", "javascript:", "//cdn", "https://"] {
        assert!(!page.contains(forbidden), "{forbidden} in {page}");
    }
    assert_eq!(page.matches("<script").count(), page.matches("<script src=\"/page/assets/").count());
    assert_eq!(page.matches("<h1").count(), 1, "{page}");
    for address in values(page, "href").into_iter().chain(values(page, "src")) {
        assert!(address.starts_with('/') || address.starts_with('#'), "{address}");
    }
    let ids = values(page, "id");
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
}

#[tokio::test]
async fn a_page_carries_all_it_needs_and_nothing_else() {
    let lake = Lake::of_users().await;
    let answer = browse(&lake, "/").await;
    check_is_page(&answer, "overview");
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(answer.header("vary"), "accept");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(values(&answer.body, "data-version"), ["0"]);
    assert_eq!(values(&answer.body, "data-api"), ["/stats"]);
    assert!(answer.body.contains("curl 'http://lake.example.com/stats'"), "{}", answer.body);
    let mut bytes = answer.body.len();
    let files = [values(&answer.body, "href"), values(&answer.body, "src")].concat();
    let files: BTreeSet<_> = files.into_iter().filter(|file| file.starts_with("/page/assets/")).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let answer = lake.get(file).await;
        assert_eq!(answer.status, StatusCode::OK, "{file}");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{file}");
        let media_type = answer.header("content-type");
        let expected = match file.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(media_type, expected, "{file}");
        for elsewhere in ["url(", "@import", "import(", "http:", "https:", "Storage", "cookie"] {
            let found = answer.body.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(elsewhere), "{elsewhere} in {file}");
        }
        bytes += answer.body.len();
    }
    assert!(bytes < 80 * 1024, "{bytes} bytes");
    assert_eq!(lake.get("/page/assets/page-000000000000.css").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_that_asks_for_json_gets_the_index() {
    let lake = Lake::of_users().await;
    for (accept, is_page) in [(BROWSER, true), ("*/*", true), ("application/json", false)] {
        let request = Request::get("/").header("accept", accept).body(Body::empty()).unwrap();
        let answer = lake.send(request).await;
        assert_eq!(answer.header("content-type").starts_with("text/html"), is_page, "{accept}");
    }
    let head = lake.send(Request::head("/").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn the_overview_shows_who_is_in_the_lake() {
    let lake = Lake::of_users().await;
    leave(&lake, &report(5, RunOutcome::Succeeded, 1_234, None)).await;
    let page = browse(&lake, "/").await.body;
    for (figure, value) in [
        ("users", ">7<"),
        ("with-image", ">4<"),
        ("without-image", ">3<"),
        ("average-age", ">33.5<"), // 46, 22, 36, 30, 22, 45; one is not born yet.
        ("rejects-open", ">1<"),
        ("data-age", ">55 min ago<"),
    ] {
        assert!(
            inside(&page, "dl", figure)
                .split("dd class=\"value\"")
                .nth(1)
                .unwrap()
                .contains(value),
            "{figure}: {page}"
        );
    }
    assert_eq!(values(&page, "data-banner"), Vec::<&str>::new());
    let last = inside(&page, "dd", "last-run");
    assert!(
        last.contains("href=\"/page/runs/run-at-5\"") && last.contains("1,234 added") && last.contains("30.0 s"),
        "{last}"
    );
    // A column for each age, which leads to those who have it.
    let leading = values(&page, "href").into_iter();
    let ages: BTreeSet<_> = leading.filter_map(|href| href.strip_prefix("/page/people?min_age=")).collect();
    let expected = [22, 30, 36, 45, 46].map(|age| format!("{age}&amp;max_age={age}"));
    assert!(ages.into_iter().eq(&expected));
    assert!(page.contains("Age 22: 2 users, 1 with a picture"), "{page}");
    // Keys pass the charts by: all of their links stand in the tables once more.
    for chart in page.split("<svg").skip(1) {
        let chart = chart.split("</svg>").next().unwrap();
        assert_eq!(chart.matches("<a ").count(), chart.matches(" tabindex=\"-1\"").count(), "{chart}");
        let rest = page.replace(chart, "");
        for href in values(chart, "href") {
            assert!(values(&rest, "href").contains(&href), "{href} is a link of a table");
        }
    }
    // Each leads to as many as it says.
    let of_22 = lake.get("/stats?min_age=22&max_age=22").await.json();
    assert_eq!((of_22["count"].as_u64(), of_22["with_image"].as_u64()), (Some(2), Some(1)));
}

#[tokio::test]
async fn the_overview_asks_the_store_for_nothing() {
    let lake = Lake::of_users().await;
    leave(&lake, &report(5, RunOutcome::Succeeded, 1, None)).await;
    let before = lake.reads();
    assert_eq!(browse(&lake, "/").await.status, StatusCode::OK);
    assert_eq!(lake.reads(), before);
}

/// The banners of the overview.
async fn check_banners(lake: &Lake, expected: &[&str]) -> String {
    let answer = browse(lake, "/").await;
    check_is_page(&answer, "overview");
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(values(&answer.body, "data-banner"), expected);
    answer.body
}

#[tokio::test]
async fn the_overview_says_what_is_wrong() {
    let lake = Lake::empty();
    check_banners(&lake, &["not-read"]).await;
    lake.watch.refresh_now().await;
    check_banners(&lake, &["no-table"]).await;
    leave(&lake, &report(1, RunOutcome::Failed, 0, Some("<img src=x onerror=alert(1)>"))).await;
    let page = check_banners(&lake, &["no-table", "failed"]).await;
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"), "{page}");
    // Three hours old, and no run since then has succeeded.
    let rows = USERS.iter().map(|user| put(user.0, user.1, user.2, user.3)).collect();
    lake.commit_as("run-1", at("2026-11-24T09:00:00Z"), rows, &refusals()).await;
    lake.watch.refresh_now().await;
    check_banners(&lake, &["old", "failed"]).await;
    leave(&lake, &report(2, RunOutcome::Refused, 0, None)).await;
    check_banners(&lake, &["old", "refused"]).await;
    // A run that had nothing to do confirms the old version.
    leave(&lake, &report(3, RunOutcome::Succeeded, 0, None)).await;
    let page = check_banners(&lake, &[]).await;
    assert!(inside(&page, "dd", "last-run").contains("nothing to do"), "{page}");
    lake.set_down(true);
    lake.watch.refresh_now().await;
    let page = check_banners(&lake, &["store-down"]).await;
    assert!(inside(&page, "dl", "users").contains(">7<"), "what is held is shown on: {page}");
    lake.set_down(false);
    lake.watch.refresh_now().await;
    check_banners(&lake, &[]).await;
}

#[tokio::test]
async fn runs_are_started_where_that_is_offered() {
    let page = browse(&Lake::of_users().await, "/").await.body;
    assert!(!page.contains("id=\"start-run\""), "{page}");
    let next = inside(&page, "dd", "next-run");
    assert!(next.contains("Not known here"), "{next}");
    let launcher = launcher();
    let mut lake = Lake::launching(|_| Arc::new(launcher.clone()));
    let page = browse(&lake, "/").await.body;
    let start = inside(&page, "p", "start-run");
    assert!(start.contains("curl -X POST 'http://lake.example.com/data'"), "{start}");
    assert!(!start.contains("data-needs-token"), "{start}");
    launcher.set_next_run(NextRun::At(at("2026-11-24T13:00:00Z")));
    let page = browse(&lake, "/").await.body;
    let next = inside(&page, "dd", "next-run");
    assert!(next.contains("2026-11-24 13:00 UTC") && next.contains("in 1 h"), "{next}");
    launcher.set_next_run(NextRun::Never);
    let page = browse(&lake, "/").await.body;
    assert!(inside(&page, "dd", "next-run").contains("None is due"), "{page}");
    lake.parts.access = Access::ProtectRuns(Token::new("right"));
    let page = browse(&lake, "/").await.body;
    let start = inside(&page, "p", "start-run");
    assert!(start.contains("data-needs-token") && start.contains("Bearer $TOKEN"), "{start}");
    assert!(!page.contains("right\""), "the token is not told");
}

#[track_caller]
fn check_problem(answer: &Answer, status: StatusCode, kind: &str) {
    check_is_page(answer, "failure");
    assert_eq!(answer.status, status, "{kind}");
    assert_eq!(answer.header("cache-control"), "no-store", "{kind}");
    assert_eq!(values(&answer.body, "data-problem"), [format!("urn:datalake:problem:{kind}")]);
}

#[tokio::test]
async fn problems_of_pages_are_pages() {
    let lake = Lake::of_users().await;
    check_problem(&browse(&lake, "/page/nowhere").await, StatusCode::NOT_FOUND, "no-such-path");
    check_problem(&lake.get("/page/nowhere/at/all").await, StatusCode::NOT_FOUND, "no-such-path");
    check_problem(&browse(&lake, "/page").await, StatusCode::NOT_FOUND, "no-such-path");
    check_problem(&browse(&lake, "/?%3Cscript%3E").await, StatusCode::BAD_REQUEST, "invalid-parameter");
    let posted = Request::post("/").header("accept", BROWSER).body(Body::empty()).unwrap();
    check_problem(&lake.send(posted).await, StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed");
    // The API's own addresses answer everybody alike.
    for path in ["/nowhere", "/data?x", "/page/assets/x", "/page/live?x"] {
        assert_eq!(
            browse(&lake, path).await.header("content-type"),
            "application/problem+json",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_browser_without_the_token_gets_the_sign_in_page() {
    let mut lake = Lake::of_users().await;
    lake.parts.access = Access::ProtectAll(Token::new("right").with_hint("kubectl get secret mine"));
    for path in ["/", "/page/people", "/data"] {
        let answer = browse(&lake, path).await;
        check_is_page(&answer, "sign-in");
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (StatusCode::UNAUTHORIZED, "no-store")
        );
        assert_eq!(values(&answer.body, "data-problem"), ["urn:datalake:problem:unauthorized"]);
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{path}");
        assert!(
            answer.body.contains("kubectl get secret mine") && answer.body.contains("Bearer $TOKEN"),
            "{}",
            answer.body
        );
        assert!(!answer.body.contains("Version 0"), "{}", answer.body);
        let style = values(&answer.body, "href").into_iter().find(|href| href.contains(".css")).unwrap();
        assert_eq!(lake.get(style).await.status, StatusCode::OK, "the refusal is drawn like every page");
    }
    assert_eq!(browse(&lake, "/page/live?held=x").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(lake.get("/data").await.header("content-type"), "application/problem+json");
}

/// The name of the state that a page is made of.
async fn held(lake: &Lake) -> String {
    let page = browse(lake, "/").await.body;
    values(&page, "data-live").concat()
}

#[tokio::test(start_paused = true)]
async fn an_open_page_hears_of_what_changes() {
    let lake = Lake::of_users().await;
    let seen = held(&lake).await;
    let path = format!("/page/live?held={seen}");
    // Nothing changes: the wait ends, and is no failure.
    let begun = tokio::time::Instant::now();
    let same = lake.get(&path).await;
    assert_eq!(
        (same.status, same.body.as_str(), same.header("cache-control")),
        (StatusCode::OK, seen.as_str(), "no-store")
    );
    assert_eq!(begun.elapsed(), Duration::from_secs(25));
    // Another version.
    let (answer, ()) = tokio::join!(lake.get(&path), async {
        lake.commit(vec![put("2000", "New", "1999-01-01", false)]).await;
        lake.watch.refresh_now().await;
    });
    assert_ne!(answer.body, seen);
    assert_eq!(answer.body, held(&lake).await);
    // A run's report.
    let seen = answer.body;
    let path = format!("/page/live?held={seen}");
    let report = report(9, RunOutcome::Succeeded, 1, None);
    let (answer, ()) = tokio::join!(lake.get(&path), leave(&lake, &report));
    assert_ne!(answer.body, seen);
    // The store's failure.
    let seen = answer.body;
    let path = format!("/page/live?held={seen}");
    let (answer, ()) = tokio::join!(lake.get(&path), async {
        lake.set_down(true);
        lake.watch.refresh_now().await;
    });
    assert_ne!(answer.body, seen);
}

#[tokio::test]
async fn a_page_of_another_state_hears_at_once() {
    let lake = Lake::of_users().await;
    for held in ["", "?held=", "?held=nonsense"] {
        let answer = lake.get(&format!("/page/live{held}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{held}");
        assert!(answer.body.starts_with("0-"), "{}", answer.body);
    }
}
