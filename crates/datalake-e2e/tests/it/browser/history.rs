//! The pages of rejects, versions, the comparison of two versions, and examples.

use serde_json::{Value, json};

use super::{harness::Browser, lakes};
use crate::server::Server;

/// The attribute `data-{name}` and the text of each element in `main` that has it.
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

#[test]
fn rejects_are_shown_with_the_error_position() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let rejects = server.json("/rejects")["rejects"].clone();
    let mut shown = Vec::new();
    for kind in ["ignored", "rejected"] {
        browser.go(&format!("/page/rejects?kind={kind}"));
        shown.extend(texts(&browser, "key"));
    }
    shown.sort();
    let keys: Vec<_> = shown.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, strings(&rejects, "key"));
    for (reject, (key, text)) in rejects.as_array().unwrap().iter().zip(&shown) {
        for name in ["code", "found", "expected", "remedy"] {
            let expected = reject[name].as_str().unwrap();
            assert!(
                text.to_lowercase().contains(&expected.to_lowercase()),
                "{key} has no {expected:?}: {text}"
            );
        }
    }
    // The whole field is marked, and escaped.
    let marked = browser.run("return document.querySelector('[data-key=\"src-data/1002.csv\"] mark')?.textContent ?? null");
    let marked = marked.as_str().expect("the position is marked");
    assert_eq!(marked, "<b>1990-01-01</b>");
    // The user's last valid row is kept and linked.
    assert!(browser.count("[data-key='src-data/1002.csv'] a[href='/page/users/1002']") >= 1);
    browser.check_quiet("rejects");
}

#[test]
fn rejects_are_filtered_explained_and_copied() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/rejects");
    browser.mark();
    browser.run(
        "const code = document.getElementById('code'); code.value = 'type';
         code.dispatchEvent(new Event('change', { bubbles: true })); return null",
    );
    browser.until("the reason", || (browser.attributes("data-code") == ["type"]).then_some(()));
    assert_eq!(browser.address(), "/page/rejects?kind=rejected&code=type");
    browser.check_not_reloaded();
    browser.click(".where [data-copy]");
    browser.until("the copy", || (browser.text(".where [data-copy]") == "Copied").then_some(()));
    browser.click("#rejects header a");
    browser.until("the explanation", || (browser.address() == "/docs/rejects#type").then_some(()));
    let target = browser.run("return document.querySelector('h2:target').textContent");
    assert_eq!(target, "type");
    browser.check_quiet("the explanation");
}

#[test]
fn page_without_rejects_has_a_message() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/rejects");
    assert_eq!(browser.count("[data-key]"), 0);
    assert_eq!(server.json("/rejects")["count"], 0);
    assert!(
        browser.text("#no-rejects").contains("No rejected files"),
        "{}",
        browser.text("main")
    );
    assert_eq!(
        (browser.count("#code"), browser.count(".pager"), browser.count("#totals")),
        (0, 0, 0),
        "there is nothing to filter"
    );
    browser.check_quiet("no rejects");
}

#[test]
fn overview_rejects_and_run_have_the_same_counts() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let rejects = server.json("/rejects")["rejects"].clone();
    let count = |kind: &str| rejects.as_array().unwrap().iter().filter(|reject| reject["kind"] == kind).count();
    let (rejected, ignored) = (count("rejected"), count("ignored"));
    assert_eq!((rejected, ignored), (2, 1));
    browser.go("/page/rejects");
    let totals = browser.run("const { rejected, ignored } = document.getElementById('totals').dataset; return [rejected, ignored]");
    assert_eq!(totals, json!([rejected.to_string(), ignored.to_string()]));
    assert_eq!(
        (browser.text("[data-kind=rejected]"), browser.text("[data-kind=ignored]")),
        ("Rejected 2".to_owned(), "Ignored 1".to_owned())
    );
    assert_eq!(browser.text("#nav-rejects"), "Rejects 2");
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
            "{run_id} is linked"
        );
    }
    browser.check_quiet("versions");
}

fn changes(server: &Server, query: &str) -> Vec<Value> {
    let lines = server.curl(&format!("/changes?{query}"), "");
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn comparison_shows_the_changes_of_the_api() {
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

#[test]
fn versions_are_selected_for_comparison_without_javascript() {
    let server = lakes::edited();
    for browser in [Browser::open(&server), Browser::without_scripts(&server)] {
        browser.go("/page/versions");
        browser.click("#compare button[type=submit]");
        browser.until("the comparison", || browser.address().starts_with("/page/changes?").then_some(()));
        assert_eq!(browser.count("[data-view='changes']"), 1);
    }
}

#[test]
fn examples_link_to_their_responses() {
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
