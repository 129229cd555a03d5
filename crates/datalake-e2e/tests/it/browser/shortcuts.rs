//! Keyboard shortcuts: `g` and a letter open views, `?` shows all of them, `/` searches.

use fantoccini::key::Key;
use serde_json::json;

use super::{harness::Browser, lakes};

fn until_address(browser: &Browser, expected: &str) {
    browser.until(expected, || (browser.address() == expected).then_some(()));
}

#[test]
fn letters_after_g_open_views() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    for (key, path) in [
        ('u', "/page/users"),
        ('r', "/page/runs"),
        ('x', "/page/rejects"),
        ('v', "/page/versions"),
        ('e', "/page/examples"),
        ('o', "/"),
    ] {
        browser.type_key('g');
        browser.type_key(key);
        until_address(&browser, path);
    }
    browser.type_key('u');
    assert_eq!(browser.address(), "/", "a letter alone does nothing");
}

#[test]
fn letters_in_a_field_are_text() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    browser.fill("input[type=search]", "3");
    browser.type_key('g');
    browser.type_key('r');
    browser.type_key('?');
    assert_eq!((browser.address().as_str(), browser.count("dialog[open]")), ("/page/users", 0));
}

#[test]
fn question_mark_shows_all_shortcuts() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/runs");
    browser.type_key('?');
    browser.until_run("the dialog", "return document.querySelector('#help-dialog[open]') !== null");
    let keys = browser.run("return [...document.querySelectorAll('#help-dialog dt')].map(term => term.textContent.trim())");
    for key in ["/", "?", "r", "g o", "g u", "g r", "g x", "g v", "g e", "g d"] {
        assert!(keys.as_array().unwrap().contains(&json!(key)), "{key}: {keys}");
    }
    browser.press(Key::Escape);
    browser.until_run("the end", "return document.querySelector('#help-dialog[open]') === null");
    // The button in the footer is for users who do not know the key.
    browser.click("[data-help]");
    browser.until_run("the dialog", "return document.querySelector('#help-dialog[open]') !== null");
    browser.check_quiet("shortcuts");
}

#[test]
fn slash_leads_to_the_search() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    for path in ["/", "/page/runs", "/page/users/1000"] {
        browser.go(path);
        browser.type_key('/');
        browser.until_run(path, "return document.activeElement.type === 'search'");
        assert_eq!(browser.run("return document.activeElement.value"), "", "the slash is not text");
    }
}

#[test]
fn r_starts_a_run_or_leads_to_the_button() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    browser.type_key('r');
    browser.until_run(
        "the button",
        "return document.activeElement.matches('#start-run button[data-start]')",
    );
    assert_eq!(browser.address(), "/page/runs#start");
    browser.go("/");
    browser.type_key('r');
    browser.until_run(
        "the run",
        "return document.getElementById('run-state').dataset.state === 'succeeded'",
    );
}

#[test]
fn menu_closes_with_escape_and_outside_clicks() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    let is_open = "return document.querySelector('#api-menu').open";
    let closings: [Box<dyn Fn()>; 2] = [
        Box::new(|| browser.press(Key::Escape)),
        Box::new(|| drop(browser.run("document.querySelector('h1').click()"))),
    ];
    for close in closings {
        browser.click("#api-menu summary");
        browser.until_run("the menu", is_open);
        close();
        browser.until_run("the end", "return !document.querySelector('#api-menu').open");
    }
    browser.click("#api-menu summary");
    browser.click("#api-menu a[href='/page/examples']");
    until_address(&browser, "/page/examples");
}

#[test]
fn pointer_on_a_time_shows_the_local_time() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/runs");
    browser.run("document.querySelector('main time').dispatchEvent(new PointerEvent('pointerover', { bubbles: true }))");
    let title = browser.run("return document.querySelector('main time').title");
    let lines: Vec<_> = title.as_str().unwrap().lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with("UTC"), "{title}");
}

#[test]
fn local_times_replace_those_in_utc_on_all_pages() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    let text = || browser.run("return document.querySelector('main time[datetime]').textContent");
    browser.go("/page/runs");
    assert!(text().as_str().unwrap().ends_with("ago"));
    browser.click("#local-times");
    browser.until_run(
        "local times",
        "return document.querySelector('#local-times')?.getAttribute('aria-pressed') === 'true'",
    );
    for path in ["/page/runs", "/page/versions"] {
        browser.go(path);
        browser.until("local times", || (!text().as_str().unwrap().ends_with("ago")).then_some(()));
    }
    browser.click("#local-times");
    browser.until_run(
        "UTC",
        "return document.querySelector('#local-times')?.getAttribute('aria-pressed') === 'false'",
    );
    assert!(text().as_str().unwrap().ends_with("ago"));
}
