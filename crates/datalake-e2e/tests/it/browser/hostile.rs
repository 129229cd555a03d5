//! Names in any script, of any length, and with whatever a page may stumble over; an empty lake; one with ten thousand refused sources; a
//! store that is away.

use std::fs;

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
    views::{self, View},
};

#[test]
fn names_are_text_and_stay_within_the_window() {
    let server = lakes::hostile();
    let browser = Browser::open(&server);
    for size in [Size::DESK, Size::PHONE] {
        browser.look(Scheme::Light, size);
        let persons = lakes::HOSTILE.iter().map(|(user_id, ..)| format!("/page/people/{user_id}"));
        let paths = ["/", "/page/people", "/page/people?view=gallery", "/page/people/long"].map(str::to_owned);
        for path in paths.into_iter().chain(persons) {
            browser.go(&path);
            let width = browser.run("return document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(
                width <= u64::from(size.width),
                "{path} is {width} pixels wide at {size:?}: {}",
                views::widest(&browser, size)
            );
            assert_ne!(browser.run("return document.title"), "taken", "{path} runs a name");
            browser.check_quiet(&path);
        }
    }
}

#[test]
fn names_are_shown_as_they_are_written() {
    let server = lakes::hostile();
    let browser = Browser::open(&server);
    for view in ["table", "gallery"] {
        browser.go(&format!("/page/people?view={view}"));
        for (user_id, first_name, last_name) in lakes::HOSTILE {
            let shown = browser.text(&format!("[data-user-id='{user_id}']"));
            assert!(
                shown.contains(first_name) && shown.contains(last_name),
                "{view}, {user_id}: {shown}"
            );
        }
        // A name of a script that is written from right to left does not turn its surroundings.
        let undirected = browser.run(
            "return [...document.querySelectorAll('[data-user-id]')].filter(row => !row.querySelector('[dir=auto], bdi')).map(row => row.dataset.userId)",
        );
        assert_eq!(undirected, serde_json::json!([]), "{view}: names have a direction of their own");
    }
    for (user_id, first_name, last_name) in lakes::HOSTILE {
        browser.go(&format!("/page/people/{user_id}"));
        let shown = browser.text("main");
        assert!(shown.contains(first_name) && shown.contains(last_name), "{user_id}: {shown}");
    }
}

#[test]
fn an_empty_lake_says_what_to_do() {
    let server = lakes::empty();
    let browser = Browser::open(&server);
    browser.go("/");
    assert_eq!(browser.count("[data-view='overview']"), 1);
    assert!(
        browser.text("main").contains("src-data"),
        "where sources go: {}",
        browser.text("main")
    );
    for path in ["/page/people", "/page/runs", "/page/rejects", "/page/examples", "/page/versions"] {
        browser.go(path);
        assert_eq!(browser.count("h1"), 1, "{path}");
        assert!(browser.count("nav a") > 3, "{path} leads on");
    }
}

#[test]
fn ten_thousand_rejects_are_told_in_pages() {
    let server = lakes::many_rejects(10_000);
    let browser = Browser::open(&server);
    browser.go("/page/rejects");
    assert!(views::weight(&browser) <= views::BYTES_MAX, "{} bytes", views::weight(&browser));
    assert!(
        browser.text("main").contains("10,000") || browser.text("main").contains("10000"),
        "all are counted"
    );
    let first = browser.attributes("data-key");
    assert!(!first.is_empty());
    // The page that comes next has others.
    browser.click("main a[rel~=next]");
    let second = browser.until("the next page", || {
        let keys = browser.attributes("data-key");
        (!keys.is_empty() && keys != first).then_some(keys)
    });
    assert!(second.iter().all(|key| !first.contains(key)));
    browser.go("/");
    assert!(views::weight(&browser) <= views::BYTES_MAX, "{} bytes", views::weight(&browser));
    browser.check_quiet("ten thousand rejects");
}

/// What is in memory goes on being shown.
#[test]
fn a_store_that_is_away_takes_no_view_with_it() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let lake = server.folder.path().join("lake");
    fs::rename(&lake, server.folder.path().join("away")).unwrap();
    for View { name, path } in views::views(&server) {
        browser.go(&path);
        assert_eq!(browser.count("h1"), 1, "{path}");
        // The log of the versions is in the store alone.
        let expected = if name == "versions" { 503 } else { 200 };
        assert_eq!(browser.status(), expected, "{path}");
        let view = if expected == 503 { "failure" } else { name };
        assert_eq!(browser.count(&format!("[data-view='{view}']")), 1, "{path} is the view {view}");
    }
    browser.go("/page/people");
    assert!(!browser.attributes("data-user-id").is_empty(), "rows come from memory");
}
