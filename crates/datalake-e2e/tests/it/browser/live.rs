//! Live updates of an open page, which keep the state of the user.

use serde_json::json;

use super::{harness::Browser, lakes};

#[track_caller]
fn wait_for_text(browser: &Browser, selector: &str, text: &str) {
    browser.wait_until(text, || {
        let shown = browser.run(&format!("return document.querySelector({})?.textContent ?? ''", json!(selector)));
        shown.as_str().unwrap().contains(text).then_some(())
    });
}

#[test]
fn edited_source_appears_without_a_reload() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    for (path, selector, name) in [
        ("/page/people?user_id__startswith=100", "[data-user-id='1000']", "Susanna"),
        ("/page/people?view=gallery", "[data-user-id='1000']", "Zoë"),
        ("/page/people/1000", "main", "Æthelflæd"),
    ] {
        browser.go_to(path);
        browser.mark();
        assert!(!browser.text(selector).contains(name));
        lakes::write(&server, "1000.csv", lakes::source(name, "Lee", "612302400000"));
        lakes::run(&server);
        wait_for_text(&browser, selector, name);
        browser.check_not_reloaded();
        assert_eq!(browser.address(), path, "the address is unchanged");
        browser.check_console_and_requests(path);
    }
}

/// A page that cannot be updated says so, and is updated as soon as possible.
#[test]
fn outdated_page_says_so() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go_to("/page/versions");
    browser.mark();
    wait_for_text(&browser, "#live", "Live");
    let (lake, away) = (server.folder.path().join("lake"), server.folder.path().join("away"));
    std::fs::rename(&lake, &away).unwrap();
    wait_for_text(&browser, "#live", "Out of date");
    assert_eq!(browser.run("return document.getElementById('live').dataset.state"), "stale");
    assert_eq!(browser.count("#versions"), 1, "the content is kept");
    std::fs::rename(&away, &lake).unwrap();
    wait_for_text(&browser, "#live", "Live");
    browser.check_not_reloaded();
}

/// An error page is replaced as soon as the requested data exists.
#[test]
fn error_page_is_replaced() {
    let server = lakes::empty();
    let browser = Browser::open(&server);
    browser.go_to("/page/people");
    assert_eq!((browser.status(), browser.count("[data-view=failure]")), (503, 1));
    let sources = lakes::sources(&server);
    std::fs::create_dir_all(&sources).unwrap();
    std::fs::write(sources.join("1.csv"), lakes::source("Ada", "Lovelace", "612302400000")).unwrap();
    let made = std::process::Command::new(crate::server::executable())
        .args(["process", "--lake", "lake"])
        .current_dir(server.folder.path())
        .status();
    assert!(made.unwrap().success());
    wait_for_text(&browser, "main", "Lovelace");
    assert_eq!(browser.address(), "/page/people");

    // A user who does not exist yet.
    browser.go_to("/page/people/2");
    assert_eq!(browser.count("[data-view=failure]"), 1);
    std::fs::write(sources.join("2.csv"), lakes::source("Grace", "Hopper", "612302400000")).unwrap();
    let made = std::process::Command::new(crate::server::executable())
        .args(["process", "--lake", "lake"])
        .current_dir(server.folder.path())
        .status();
    assert!(made.unwrap().success());
    wait_for_text(&browser, "main", "Hopper");
}

/// The request that the page shows is that of the current content.
#[test]
fn shown_request_is_updated() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go_to("/page/changes?since=0");
    browser.mark();
    wait_for_text(&browser, ".foot code", "/changes?since=0&until=1'");
    lakes::write(&server, "1000.csv", lakes::source("Zoë", "Lee", "612302400000"));
    lakes::run(&server);
    wait_for_text(&browser, ".foot code", "/changes?since=0&until=2'");
    browser.check_not_reloaded();
}

/// The overview counts a new user.
#[test]
fn new_source_is_counted_without_a_reload() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go_to("/");
    browser.mark();
    lakes::write(&server, "2000.csv", lakes::source("Ada", "Lovelace", "612302400000"));
    lakes::run(&server);
    wait_for_text(&browser, "#users dd", "101");
    browser.check_not_reloaded();
    browser.check_console_and_requests("/");
}

/// An update of the page keeps the text of inputs, the scroll position and open details.
#[test]
fn update_keeps_the_state_of_the_user() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go_to("/page/people");
    browser.mark();
    let version = browser.run("return document.querySelector('main').dataset.version");
    browser.run("for (const part of document.querySelectorAll('main details')) part.open = true");
    let opened = browser.count("main details[open]");
    browser.fill("[name=min_age]", "3");
    browser.run("document.querySelector('[data-user-id=\"1030\"]').scrollIntoView(); return null");
    let place = browser.run("return scrollY");
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    lakes::run(&server);
    browser.wait_until("the new version", || {
        (browser.run("return document.querySelector('main').dataset.version") != version).then_some(())
    });
    assert_eq!(
        browser.run("return document.querySelector('[name=min_age]').value"),
        "3",
        "the text of the input"
    );
    assert_eq!(browser.run("return document.activeElement.name"), "min_age", "the focus");
    assert_eq!(browser.count("main details[open]"), opened, "open details");
    let now = browser.run("return scrollY");
    assert!(
        (now.as_f64().unwrap() - place.as_f64().unwrap()).abs() < 40.0,
        "the scroll position: {place}, then {now}"
    );
    browser.check_not_reloaded();
}
