//! Names in any script, of any length, and with markup; an empty lake; a lake with ten thousand rejected sources; an unavailable
//! store.

use std::fs;

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
    views::{self, View},
};

#[test]
fn names_are_text_and_stay_within_the_window() {
    let server = lakes::unusual_names();
    let browser = Browser::open(&server);
    for size in [Size::DESK, Size::PHONE] {
        browser.set_display(Scheme::Light, size);
        let users = lakes::UNUSUAL_NAMES.iter().map(|(user_id, ..)| format!("/page/people/{user_id}"));
        let paths = ["/", "/page/people", "/page/people?view=gallery", "/page/people/long"].map(str::to_owned);
        for path in paths.into_iter().chain(users) {
            browser.go_to(&path);
            let width = browser.run("return document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(
                width <= u64::from(size.width),
                "{path} is {width} pixels wide at {size:?}: {}",
                views::widest(&browser, size)
            );
            assert_ne!(browser.run("return document.title"), "taken", "{path} executes a name");
            browser.check_console_and_requests(&path);
        }
    }
}

#[test]
fn names_are_shown_unchanged() {
    let server = lakes::unusual_names();
    let browser = Browser::open(&server);
    for view in ["table", "gallery"] {
        browser.go_to(&format!("/page/people?view={view}"));
        for (user_id, first_name, last_name) in lakes::UNUSUAL_NAMES {
            let shown = browser.text(&format!("[data-user-id='{user_id}']"));
            assert!(
                shown.contains(first_name) && shown.contains(last_name),
                "{view}, {user_id}: {shown}"
            );
        }
        // A right-to-left name does not change the direction of the surrounding text.
        let undirected = browser.run(
            "return [...document.querySelectorAll('[data-user-id]')].filter(row => !row.querySelector('[dir=auto], bdi')).map(row => row.dataset.userId)",
        );
        assert_eq!(undirected, serde_json::json!([]), "{view}: names have a separate direction");
    }
    for (user_id, first_name, last_name) in lakes::UNUSUAL_NAMES {
        browser.go_to(&format!("/page/people/{user_id}"));
        let shown = browser.text("main");
        assert!(shown.contains(first_name) && shown.contains(last_name), "{user_id}: {shown}");
    }
}

#[test]
fn empty_lake_shows_instructions() {
    let server = lakes::empty();
    let browser = Browser::open(&server);
    browser.go_to("/");
    assert_eq!(browser.count("[data-view='overview']"), 1);
    assert!(
        browser.text("main").contains("src-data"),
        "the folder of sources: {}",
        browser.text("main")
    );
    for path in ["/page/people", "/page/runs", "/page/rejects", "/page/examples", "/page/versions"] {
        browser.go_to(path);
        assert_eq!(browser.count("h1"), 1, "{path}");
        assert!(browser.count("nav a") > 3, "{path} has navigation links");
    }
}

#[test]
fn ten_thousand_rejects_are_paginated() {
    let server = lakes::many_rejects(10_000);
    let browser = Browser::open(&server);
    browser.go_to("/page/rejects");
    assert!(views::weight(&browser) <= views::BYTES_MAX, "{} bytes", views::weight(&browser));
    assert!(
        browser.text("main").contains("10,000") || browser.text("main").contains("10000"),
        "all are counted"
    );
    let first = browser.attributes("data-key");
    assert!(!first.is_empty());
    // The next page has others.
    browser.click("main a[rel~=next]");
    let second = browser.wait_until("the next page", || {
        let keys = browser.attributes("data-key");
        (!keys.is_empty() && keys != first).then_some(keys)
    });
    assert!(second.iter().all(|key| !first.contains(key)));
    browser.go_to("/");
    assert!(views::weight(&browser) <= views::BYTES_MAX, "{} bytes", views::weight(&browser));
    browser.check_console_and_requests("ten thousand rejects");
}

/// Data in memory is still shown.
#[test]
fn unavailable_store_breaks_no_view() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let lake = server.folder.path().join("lake");
    fs::rename(&lake, server.folder.path().join("away")).unwrap();
    for View { name, path } in views::views(&server) {
        browser.go_to(&path);
        assert_eq!(browser.count("h1"), 1, "{path}");
        // The log of versions is only in the store.
        let expected = if name == "versions" { 503 } else { 200 };
        assert_eq!(browser.status(), expected, "{path}");
        let view = if expected == 503 { "failure" } else { name };
        assert_eq!(browser.count(&format!("[data-view='{view}']")), 1, "{path} is the view {view}");
    }
    browser.go_to("/page/people");
    assert!(!browser.attributes("data-user-id").is_empty(), "rows come from memory");
}
