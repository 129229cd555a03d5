//! Rejects, versions, comparisons of versions, and example queries with links to their responses.

use serde_json::{Value, json};

use super::{harness::Browser, lakes};
use crate::server::Server;

/// The value of `data-{name}` and the text of every element that has it in the main part.
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

/// Each reject has its code, its message, and the invalid byte.
#[test]
fn rejects_are_shown_with_the_byte_marked() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go_to("/page/rejects");
    let rejects = server.json("/rejects")["rejects"].clone();
    let shown = texts(&browser, "key");
    let keys: Vec<_> = shown.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, strings(&rejects, "key"));
    for (reject, (key, text)) in rejects.as_array().unwrap().iter().zip(&shown) {
        for field in ["code", "found", "expected", "remedy"] {
            let shown = reject[field].as_str().unwrap();
            assert!(text.to_lowercase().contains(&shown.to_lowercase()), "{key} shows {field:?}: {text}");
        }
    }
    // `<b>1990-01-01</b>` is rejected at its first byte, and is shown as text.
    let marked = browser.run("return document.querySelector('[data-key=\"src-data/1002.csv\"] mark')?.textContent ?? null");
    let marked = marked.as_str().expect("the byte is marked");
    assert!("<b>1990-01-01</b>".starts_with(marked) && !marked.is_empty(), "{marked:?}");
    // The last valid row of the user is kept, and there is a link to it.
    assert!(browser.count("[data-key='src-data/1002.csv'] a[href='/page/people/1002']") >= 1);
    browser.check_console_and_requests("rejects");
}

#[test]
fn page_without_rejects_has_no_filters() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go_to("/page/rejects");
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
        "there is nothing to filter"
    );
    browser.check_console_and_requests("no rejects");
}

/// The overview, the page of rejects and the last run show the same counts.
#[test]
fn reject_counts_are_consistent() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let rejects = server.json("/rejects")["rejects"].clone();
    let count = |kind: &str| rejects.as_array().unwrap().iter().filter(|reject| reject["kind"] == kind).count();
    let (rejected, ignored) = (count("rejected"), count("ignored"));
    assert_eq!((rejected, ignored), (2, 1));
    browser.go_to("/page/rejects");
    let counted = browser.run("const { rejected, ignored } = document.getElementById('counted').dataset; return [rejected, ignored]");
    assert_eq!(counted, json!([rejected.to_string(), ignored.to_string()]));
    let text = browser.text("#counted");
    assert!(text.starts_with("2 rejected") && text.contains("1 ignored"), "{text}");
    browser.go_to("/");
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
    browser.go_to("/page/versions");
    let versions = server.json("/versions");
    let shown: Vec<_> = texts(&browser, "version").into_iter().map(|(version, _)| version).collect();
    assert_eq!(shown, strings(&versions["versions"], "version"));
    for version in versions["versions"].as_array().unwrap() {
        let run_id = version["run_id"].as_str().unwrap();
        assert!(
            browser.count(&format!("main a[href='/page/runs/{run_id}']")) >= 1,
            "there is a link to {run_id}"
        );
    }
    browser.check_console_and_requests("versions");
}

fn changes(server: &Server, query: &str) -> Vec<Value> {
    let lines = server.curl(&format!("/changes?{query}"), "");
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The comparison of two versions equals `/changes`, in both directions.
#[test]
fn two_versions_are_compared() {
    let server = lakes::edited();
    lakes::write(&server, "1000.csv", lakes::source("Suzanne", "Lee", "612302400000"));
    lakes::run(&server);
    let browser = Browser::open(&server);
    for query in ["since=0&until=1", "since=1&until=2", "since=0&until=2", "since=1", "since=2"] {
        browser.go_to(&format!("/page/changes?{query}"));
        let expected = changes(&server, query);
        let ids: Vec<_> = expected.iter().map(|change| change["user_id"].as_str().unwrap()).collect();
        let kinds: Vec<_> = expected.iter().map(|change| change["type"].as_str().unwrap()).collect();
        assert_eq!(json!(browser.attributes("data-user-id")), json!(ids), "{query}");
        assert_eq!(json!(browser.attributes("data-change")), json!(kinds), "{query}");
        browser.check_console_and_requests(query);
    }
    browser.go_to("/page/changes?since=0&until=2");
    let row = browser.text("[data-change][data-user-id='1000']");
    assert!(row.contains("Susan") && row.contains("Suzanne"), "before and after: {row}");
}

/// A form that works without JavaScript selects the versions to compare.
#[test]
fn versions_to_compare_are_selected_in_a_form() {
    let server = lakes::edited();
    for browser in [Browser::open(&server), Browser::without_scripts(&server)] {
        browser.go_to("/page/versions");
        browser.click("#compare button[type=submit]");
        browser.wait_until("the comparison", || browser.address().starts_with("/page/changes?").then_some(()));
        assert_eq!(browser.count("[data-view='changes']"), 1);
    }
}

/// Each example opens a response.
#[test]
fn examples_open_their_responses() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go_to("/page/examples");
    let examples = texts(&browser, "example");
    assert!(examples.len() >= 12, "at least twelve examples: {}", examples.len());
    for (address, text) in &examples {
        let status = server.shell(&format!("curl -s -o response -w '%{{http_code}}' 'http://localhost:8080{address}'"));
        assert_eq!(String::from_utf8(status.stdout).unwrap(), "200", "{address}: {text}");
        let links = browser.run(&format!(
            "return document.querySelectorAll('[data-example={0}] a[href={0}]').length",
            json!(address)
        ));
        assert_eq!(links, 1, "{address}");
    }
    browser.check_console_and_requests("examples");
}
