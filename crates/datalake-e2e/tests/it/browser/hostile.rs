//! Unusual lakes: names in any script, of any length and with markup; an empty lake; 10,000 rejects; an unreachable store.

use std::fs;

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
    views::{self, View},
};

#[test]
fn hostile_names_are_escaped_and_fit_the_window() {
    let server = lakes::hostile();
    let browser = Browser::open(&server);
    for size in [Size::DESK, Size::PHONE] {
        browser.emulate(Scheme::Light, size);
        let users = lakes::HOSTILE.iter().map(|(user_id, ..)| format!("/page/users/{user_id}"));
        let paths = ["/", "/page/users", "/page/users?view=gallery", "/page/users/long"].map(str::to_owned);
        for path in paths.into_iter().chain(users) {
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
fn names_are_shown_unchanged() {
    let server = lakes::hostile();
    let browser = Browser::open(&server);
    for view in ["table", "gallery"] {
        browser.go(&format!("/page/users?view={view}"));
        for (user_id, first_name, last_name) in lakes::HOSTILE {
            let shown = browser.text(&format!("[data-user-id='{user_id}']"));
            assert!(
                shown.contains(first_name) && shown.contains(last_name),
                "{view}, {user_id}: {shown}"
            );
        }
        // A name in a right-to-left script must not change the direction of the text around it.
        let without_direction = browser.run(
            "return [...document.querySelectorAll('[data-user-id]')].filter(row => !row.querySelector('[dir=auto], bdi')).map(row => row.dataset.userId)",
        );
        assert_eq!(
            without_direction,
            serde_json::json!([]),
            "{view}: names have a direction of their own"
        );
    }
    for (user_id, first_name, last_name) in lakes::HOSTILE {
        browser.go(&format!("/page/users/{user_id}"));
        let shown = browser.text("main");
        assert!(shown.contains(first_name) && shown.contains(last_name), "{user_id}: {shown}");
    }
}

#[test]
fn empty_lake_explains_where_to_add_sources() {
    let server = lakes::empty();
    let browser = Browser::open(&server);
    browser.go("/");
    assert_eq!(browser.count("[data-view='overview']"), 1);
    assert!(browser.text("main").contains("src-data"), "{}", browser.text("main"));
    for path in ["/page/users", "/page/runs", "/page/rejects", "/page/examples", "/page/versions"] {
        browser.go(path);
        assert_eq!(browser.count("h1"), 1, "{path}");
        assert!(browser.count("nav a") > 3, "{path} has a navigation");
    }
}

#[test]
fn ten_thousand_rejects_have_pages() {
    let server = lakes::many_rejects(10_000);
    let browser = Browser::open(&server);
    browser.go("/page/rejects");
    assert!(
        views::page_bytes(&browser) <= views::BYTES_MAX,
        "{} bytes",
        views::page_bytes(&browser)
    );
    assert!(
        browser.text("main").contains("10,000") || browser.text("main").contains("10000"),
        "the total is shown"
    );
    let first = browser.attributes("data-key");
    assert!(!first.is_empty());
    browser.click("main a[rel~=next]");
    let second = browser.until("the next page", || {
        let keys = browser.attributes("data-key");
        (!keys.is_empty() && keys != first).then_some(keys)
    });
    assert!(second.iter().all(|key| !first.contains(key)));
    browser.go("/");
    assert!(
        views::page_bytes(&browser) <= views::BYTES_MAX,
        "{} bytes",
        views::page_bytes(&browser)
    );
    browser.check_quiet("ten thousand rejects");
}

#[test]
fn unreachable_store_leaves_the_views_from_memory() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let lake = server.folder.path().join("lake");
    fs::rename(&lake, server.folder.path().join("away")).unwrap();
    for View { name, path } in views::views(&server) {
        browser.go(&path);
        assert_eq!(browser.count("h1"), 1, "{path}");
        // The log of versions is only in the store.
        let expected = if name == "versions" { 503 } else { 200 };
        assert_eq!(browser.status(), expected, "{path}");
        let view = if expected == 503 { "problem" } else { name };
        assert_eq!(browser.count(&format!("[data-view='{view}']")), 1, "{path} is the view {view}");
    }
    browser.go("/page/users");
    assert!(!browser.attributes("data-user-id").is_empty(), "rows come from memory");
}
