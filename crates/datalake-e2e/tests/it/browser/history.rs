//! What went wrong, what happened when, and examples: rejects, versions, two of them compared, queries with links to their responses.

use serde_json::{Value, json};

use super::{harness::Browser, lakes};
use crate::server::Server;

/// Of every element with `data-{name}` in the main part: that, and its text.
fn texts(browser: &Browser, name: &str) -> Vec<(String, String)> {
    let found = browser.run(&format!(
        "return [...document.querySelectorAll('main [data-{name}]')].map(element => [element.getAttribute('data-{name}'), element.textContent])"
    ));
    serde_json::from_value(found).unwrap()
}

fn strings(values: &Value, name: &str) -> Vec<String> {
    let text = |value: &Value| match &value[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    values.as_array().unwrap().iter().map(text).collect()
}

/// Each with its code, the words, and the byte where the reason lies.
#[test]
fn rejects_are_shown_with_the_byte_marked() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/rejects");
    let rejects = server.json("/rejects")["rejects"].clone();
    let shown = texts(&browser, "key");
    let keys: Vec<_> = shown.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, strings(&rejects, "key"));
    for (reject, (key, text)) in rejects.as_array().unwrap().iter().zip(&shown) {
        for told in ["code", "found", "expected", "remedy"] {
            let told = reject[told].as_str().unwrap();
            assert!(text.to_lowercase().contains(&told.to_lowercase()), "{key} says {told:?}: {text}");
        }
    }
    // `<b>1990-01-01</b>` is refused at its first byte, and is no markup here.
    let marked = browser.run("return document.querySelector('[data-key=\"src-data/1002.csv\"] mark')?.textContent ?? null");
    let marked = marked.as_str().expect("the place is marked");
    assert!("<b>1990-01-01</b>".starts_with(marked) && !marked.is_empty(), "{marked:?}");
    // The user's last good row stays, and that is told.
    assert!(browser.count("[data-key='src-data/1002.csv'] a[href='/page/people/1002']") >= 1);
    browser.check_quiet("rejects");
}

#[test]
fn no_rejects_is_good_news() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/rejects");
    assert_eq!(browser.count("[data-key]"), 0);
    assert_eq!(server.json("/rejects")["count"], 0);
    assert!(
        browser.text("#no-rejects").contains("No source is refused"),
        "{}",
        browser.text("main")
    );
    assert_eq!(
        (browser.count("#codes"), browser.count(".pager"), browser.count("#counted")),
        (0, 0, 0),
        "there is nothing to pick from"
    );
    browser.check_quiet("no rejects");
}

/// The overview, the page of the rejects and the last run count the same sources.
#[test]
fn rejects_are_counted_alike() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let rejects = server.json("/rejects")["rejects"].clone();
    let count = |kind: &str| rejects.as_array().unwrap().iter().filter(|reject| reject["kind"] == kind).count();
    let (rejected, ignored) = (count("rejected"), count("ignored"));
    assert_eq!((rejected, ignored), (2, 1));
    browser.go("/page/rejects");
    let told = browser.run("const { rejected, ignored } = document.getElementById('counted').dataset; return [rejected, ignored]");
    assert_eq!(told, json!([rejected.to_string(), ignored.to_string()]));
    let words = browser.text("#counted");
    assert!(words.starts_with("2 rejected") && words.contains("1 ignored"), "{words}");
    browser.go("/");
    assert_eq!(browser.text("#rejects-open dd"), rejected.to_string());
    assert!(
        browser.text("#rejects-open .note").contains("1 ignored"),
        "{}",
        browser.text("#rejects-open")
    );
    let run = server.json("/runs?limit=1")["runs"][0].clone();
    assert_eq!(run["counts"]["rejects_open"], rejected);
}

#[test]
fn versions_are_those_of_the_api() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/versions");
    let versions = server.json("/versions");
    let shown: Vec<_> = texts(&browser, "version").into_iter().map(|(version, _)| version).collect();
    assert_eq!(shown, strings(&versions["versions"], "version"));
    for version in versions["versions"].as_array().unwrap() {
        let run_id = version["run_id"].as_str().unwrap();
        assert!(
            browser.count(&format!("main a[href='/page/runs/{run_id}']")) >= 1,
            "{run_id} is led to"
        );
    }
    browser.check_quiet("versions");
}

fn changes(server: &Server, query: &str) -> Vec<Value> {
    let lines = server.curl(&format!("/changes?{query}"), "");
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Two versions compared: whichever way, as `/changes` says it.
#[test]
fn two_versions_are_compared() {
    let server = lakes::edited();
    lakes::write(&server, "1000.csv", lakes::source("Suzanne", "Lee", "612302400000"));
    lakes::run(&server);
    let browser = Browser::open(&server);
    for query in ["since=0&until=1", "since=1&until=2", "since=0&until=2", "since=1", "since=2"] {
        browser.go(&format!("/page/changes?{query}"));
        let expected = changes(&server, query);
        let ids: Vec<_> = expected.iter().map(|change| change["user_id"].as_str().unwrap()).collect();
        let kinds: Vec<_> = expected.iter().map(|change| change["type"].as_str().unwrap()).collect();
        assert_eq!(json!(browser.attributes("data-user-id")), json!(ids), "{query}");
        assert_eq!(json!(browser.attributes("data-change")), json!(kinds), "{query}");
        browser.check_quiet(query);
    }
    browser.go("/page/changes?since=0&until=2");
    let row = browser.text("[data-change][data-user-id='1000']");
    assert!(row.contains("Susan") && row.contains("Suzanne"), "before and after: {row}");
}

/// The versions to compare are chosen in the list, by a form that works without a script.
#[test]
fn versions_are_chosen_to_be_compared() {
    let server = lakes::edited();
    for browser in [Browser::open(&server), Browser::without_scripts(&server)] {
        browser.go("/page/versions");
        browser.click("#compare button[type=submit]");
        browser.until("the comparison", || browser.address().starts_with("/page/changes?").then_some(()));
        assert_eq!(browser.count("[data-view='changes']"), 1);
    }
}

/// Each example opens a response.
#[test]
fn examples_open_their_responses() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/examples");
    let examples = texts(&browser, "example");
    assert!(examples.len() >= 12, "{}", examples.len());
    for (address, text) in &examples {
        let status = server.shell(&format!("curl -s -o response -w '%{{http_code}}' 'http://localhost:8080{address}'"));
        assert_eq!(String::from_utf8(status.stdout).unwrap(), "200", "{address}: {text}");
        let links = browser.run(&format!(
            "return document.querySelectorAll('[data-example={0}] a[href={0}]').length",
            json!(address)
        ));
        assert_eq!(links, 1, "{address}");
    }
    browser.check_quiet("examples");
}
