//! A page that is left open: what happens in the lake shows there by itself, and nothing that somebody does there is lost by that.

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
fn an_edited_source_appears_without_a_reload() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    for (path, selector, name) in [
        ("/page/people?user_id__startswith=100", "[data-user-id='1000']", "Susanna"),
        ("/page/people?view=gallery", "[data-user-id='1000']", "Zoë"),
        ("/page/people/1000", "main", "Æthelflæd"),
    ] {
        browser.go(path);
        browser.mark();
        assert!(!browser.text(selector).contains(name));
        lakes::write(&server, "1000.csv", lakes::source(name, "Lee", "612302400000"));
        lakes::run(&server);
        until_text(&browser, selector, name);
        browser.check_not_reloaded();
        assert_eq!(browser.address(), path, "the address is what it was");
        browser.check_quiet(path);
    }
}

/// What cannot be drawn anew says so, and is drawn as soon as it can be.
#[test]
fn a_page_that_is_out_of_date_says_so() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/versions");
    browser.mark();
    until_text(&browser, "#live", "Live");
    let (lake, away) = (server.folder.path().join("lake"), server.folder.path().join("away"));
    std::fs::rename(&lake, &away).unwrap();
    until_text(&browser, "#live", "Out of date");
    assert_eq!(browser.run("return document.getElementById('live').dataset.state"), "stale");
    assert_eq!(browser.count("#versions"), 1, "what was there is there");
    std::fs::rename(&away, &lake).unwrap();
    until_text(&browser, "#live", "Live");
    browser.check_not_reloaded();
}

/// What is not to be had yet shows as soon as it is there.
#[test]
fn a_problem_goes_by_itself() {
    let server = lakes::empty();
    let browser = Browser::open(&server);
    browser.go("/page/people");
    assert_eq!((browser.status(), browser.count("[data-view=failure]")), (503, 1));
    let sources = lakes::sources(&server);
    std::fs::create_dir_all(&sources).unwrap();
    std::fs::write(sources.join("1.csv"), lakes::source("Ada", "Lovelace", "612302400000")).unwrap();
    let made = std::process::Command::new(crate::server::executable())
        .args(["process", "--lake", "lake"])
        .current_dir(server.folder.path())
        .status();
    assert!(made.unwrap().success());
    until_text(&browser, "main", "Lovelace");
    assert_eq!(browser.address(), "/page/people");

    // One who is not there yet.
    browser.go("/page/people/2");
    assert_eq!(browser.count("[data-view=failure]"), 1);
    std::fs::write(sources.join("2.csv"), lakes::source("Grace", "Hopper", "612302400000")).unwrap();
    let made = std::process::Command::new(crate::server::executable())
        .args(["process", "--lake", "lake"])
        .current_dir(server.folder.path())
        .status();
    assert!(made.unwrap().success());
    until_text(&browser, "main", "Hopper");
}

/// The request behind the view is that of what is shown now.
#[test]
fn the_request_behind_a_view_stays_right() {
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

/// The overview counts one more.
#[test]
fn a_new_source_is_counted_without_a_reload() {
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

/// What somebody is typing, where they are, and what they opened stays as it is while the page is brought up to date.
#[test]
fn what_somebody_does_is_not_lost_by_an_update() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/people");
    browser.mark();
    let version = browser.run("return document.querySelector('main').dataset.version");
    browser.run("for (const part of document.querySelectorAll('main details')) part.open = true");
    let opened = browser.count("main details[open]");
    browser.fill("[name=min_age]", "3");
    browser.run("document.querySelector('[data-user-id=\"1030\"]').scrollIntoView(); return null");
    let place = browser.run("return scrollY");
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    lakes::run(&server);
    browser.until("the new version", || {
        (browser.run("return document.querySelector('main').dataset.version") != version).then_some(())
    });
    assert_eq!(
        browser.run("return document.querySelector('[name=min_age]').value"),
        "3",
        "what is being typed"
    );
    assert_eq!(browser.run("return document.activeElement.name"), "min_age", "the focus");
    assert_eq!(browser.count("main details[open]"), opened, "what was opened");
    let now = browser.run("return scrollY");
    assert!(
        (now.as_f64().unwrap() - place.as_f64().unwrap()).abs() < 40.0,
        "the place: {place}, then {now}"
    );
    browser.check_not_reloaded();
}
