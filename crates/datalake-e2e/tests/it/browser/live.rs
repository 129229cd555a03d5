//! Live updates of an open page. An update keeps what the user is doing.

use serde_json::json;

use super::{harness::Browser, lakes};

#[track_caller]
fn until_text(browser: &Browser, selector: &str, text: &str) {
    browser.until(text, || {
        let shown = browser.run(&format!("return document.querySelector({})?.textContent ?? ''", json!(selector)));
        shown.as_str().unwrap().contains(text).then_some(())
    });
}

#[test]
fn edited_source_appears_without_a_reload() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    for (path, selector, name) in [
        ("/page/users?user_id__startswith=100", "[data-user-id='1000']", "Susanna"),
        ("/page/users?view=gallery", "[data-user-id='1000']", "Zoë"),
        ("/page/users/1000", "main", "Æthelflæd"),
    ] {
        browser.go(path);
        browser.mark();
        assert!(!browser.text(selector).contains(name));
        lakes::write(&server, "1000.csv", lakes::source(name, "Lee", "612302400000"));
        lakes::run(&server);
        until_text(&browser, selector, name);
        browser.check_not_reloaded();
        assert_eq!(browser.address(), path, "the address is unchanged");
        browser.check_quiet(path);
    }
}

#[test]
fn page_that_cannot_be_refreshed_is_marked_as_out_of_date() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/versions");
    browser.mark();
    until_text(&browser, "#live", "Live");
    let (lake, away) = (server.folder.path().join("lake"), server.folder.path().join("away"));
    std::fs::rename(&lake, &away).unwrap();
    until_text(&browser, "#live", "Out of date");
    assert_eq!(browser.run("return document.getElementById('live').dataset.state"), "stale");
    assert_eq!(browser.count("#versions"), 1, "the content is kept");
    std::fs::rename(&away, &lake).unwrap();
    until_text(&browser, "#live", "Live");
    browser.check_not_reloaded();
}

#[test]
fn unreachable_store_is_shown_on_every_page() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    let (lake, away) = (server.folder.path().join("lake"), server.folder.path().join("away"));
    browser.go("/page/users");
    browser.mark();
    until_text(&browser, "#live", "Live");
    std::fs::rename(&lake, &away).unwrap();
    until_text(&browser, "#live", "store unreachable");
    assert_eq!(browser.run("return document.getElementById('live').dataset.state"), "degraded");
    assert_eq!(browser.count("main [data-banner=store-unreachable]"), 1);
    browser.check_not_reloaded();
    for path in ["/", "/page/users/1000", "/page/rejects"] {
        browser.go(path);
        assert_eq!(browser.count("main [data-banner=store-unreachable]"), 1, "{path}");
    }
    std::fs::rename(&away, &lake).unwrap();
    browser.until("the end", || (browser.count("[data-banner]") == 0).then_some(()));
    assert_eq!(browser.text("#live"), "Live");
}

#[test]
fn lost_server_is_shown_with_the_time() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    until_text(&browser, "#live", "Live");
    server.terminate();
    until_text(&browser, "#live", "Connection lost since");
    let opacity = browser.run("return Number(getComputedStyle(document.querySelector('main')).opacity)");
    assert!(opacity.as_f64().is_some_and(|opacity| opacity < 1.0), "the content is dimmed");
}

#[test]
fn problem_page_is_replaced_once_the_problem_is_resolved() {
    let server = lakes::empty();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    assert_eq!((browser.status(), browser.count("[data-view=problem]")), (503, 1));
    let sources = lakes::sources(&server);
    std::fs::create_dir_all(&sources).unwrap();
    std::fs::write(sources.join("1.csv"), lakes::source("Ada", "Lovelace", "612302400000")).unwrap();
    let status = std::process::Command::new(crate::server::executable())
        .args(["process", "--lake", "lake"])
        .current_dir(server.folder.path())
        .status();
    assert!(status.unwrap().success());
    until_text(&browser, "main", "Lovelace");
    assert_eq!(browser.address(), "/page/users");

    // A user who does not exist yet.
    browser.go("/page/users/2");
    assert_eq!(browser.count("[data-view=problem]"), 1);
    std::fs::write(sources.join("2.csv"), lakes::source("Grace", "Hopper", "612302400000")).unwrap();
    let status = std::process::Command::new(crate::server::executable())
        .args(["process", "--lake", "lake"])
        .current_dir(server.folder.path())
        .status();
    assert!(status.unwrap().success());
    until_text(&browser, "main", "Hopper");
}

#[test]
fn api_request_in_the_footer_is_updated() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/changes?since=0");
    browser.mark();
    until_text(&browser, ".foot code", "/changes?since=0&until=1'");
    lakes::write(&server, "1000.csv", lakes::source("Zoë", "Lee", "612302400000"));
    lakes::run(&server);
    until_text(&browser, ".foot code", "/changes?since=0&until=2'");
    browser.check_not_reloaded();
}

#[test]
fn new_source_is_counted_without_a_reload() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    browser.mark();
    lakes::write(&server, "2000.csv", lakes::source("Ada", "Lovelace", "612302400000"));
    lakes::run(&server);
    until_text(&browser, "#users dd", "101");
    browser.check_not_reloaded();
    browser.check_quiet("/");
}

#[test]
fn update_keeps_input_focus_scroll_position_and_opened_details() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    browser.mark();
    let version = browser.run("return document.querySelector('main').dataset.version");
    browser.run("for (const part of document.querySelectorAll('main details')) part.open = true");
    let opened = browser.count("main details[open]");
    browser.run("document.getElementById('age_mode').value = 'range'");
    browser.fill("[name=min_age]", "3");
    browser.run("document.querySelector('[data-user-id=\"1030\"]').scrollIntoView(); return null");
    let position = browser.run("return scrollY");
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    lakes::run(&server);
    browser.until("the new version", || {
        (browser.run("return document.querySelector('main').dataset.version") != version).then_some(())
    });
    assert_eq!(
        browser.run("return document.querySelector('[name=min_age]').value"),
        "3",
        "the input"
    );
    assert_eq!(browser.run("return document.activeElement.name"), "min_age", "the focus");
    assert_eq!(browser.count("main details[open]"), opened, "the opened details");
    let now = browser.run("return scrollY");
    assert!(
        (now.as_f64().unwrap() - position.as_f64().unwrap()).abs() < 40.0,
        "the scroll position: {position}, then {now}"
    );
    browser.check_not_reloaded();
}
