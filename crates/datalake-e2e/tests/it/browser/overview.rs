//! The overview: the figures of `/stats`, bars that lead to those they count, and what is wrong.

use serde_json::{Value, json};

use super::{harness::Browser, lakes};
use crate::server::Server;

/// The exact value of a figure.
#[track_caller]
fn figure(browser: &Browser, name: &str) -> String {
    let shown = browser.run(&format!(
        "return document.querySelector('[data-figure=\"{name}\"]')?.dataset.value ?? null"
    ));
    shown.as_str().unwrap_or_else(|| panic!("the figure {name} is shown")).to_owned()
}

#[test]
fn figures_are_those_of_the_api() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/");
    let stats = server.json("/stats");
    for name in ["count", "with_image", "without_image", "average_age", "version"] {
        assert_eq!(figure(&browser, name), stats[name].to_string(), "{name}");
    }
    assert_eq!(figure(&browser, "rejects"), server.json("/rejects")["count"].to_string());
    browser.check_quiet("/");
}

/// The bars of the chart of ages, each with what it says it counts.
fn bars(browser: &Browser) -> Vec<(String, u64)> {
    let bars = browser
        .run("return [...document.querySelectorAll('#ages a[href]')].map(bar => [bar.getAttribute('href'), Number(bar.dataset.count)])");
    serde_json::from_value(bars).unwrap()
}

fn count(server: &Server, path: &str) -> u64 {
    server.json(path).as_array().unwrap().len().try_into().unwrap()
}

/// All bars together are everybody, and each leads to those whom it counts.
#[test]
fn bars_lead_to_those_they_count() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    let bars = bars(&browser);
    assert!(bars.len() > 5, "{bars:?}");
    for (href, expected) in &bars {
        let query = href.strip_prefix("/page/people?").unwrap_or_else(|| panic!("{href} is a filter"));
        assert_eq!(count(&server, &format!("/data?{query}")), *expected, "{href}");
    }
    assert_eq!(bars.iter().map(|(_, count)| count).sum::<u64>(), 100);
    let (href, _) = bars.iter().max_by_key(|(_, count)| *count).unwrap();
    browser.go(href);
    let rows = server.json(&href.replace("/page/people", "/data"));
    let ids: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["user_id"].as_str().unwrap())
        .collect();
    assert_eq!(json!(browser.attributes("data-user-id")), json!(ids), "{href}");
}

/// A run that fails is told where one looks first, with what to do.
#[test]
fn a_failed_run_is_told() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    assert_eq!(browser.count("[data-banner]"), 0, "all is well");
    for entry in std::fs::read_dir(lakes::sources(&server)).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let run: Value = lakes::run(&server);
    assert_eq!(run["state"], "refused", "{run}");
    browser.until_run("the banner", "return document.querySelector('[data-banner]') !== null");
    let id = run["id"].as_str().unwrap();
    assert_eq!(
        browser.count(&format!("[data-banner] a[href='/page/runs/{id}']")),
        1,
        "it leads to the run"
    );
    browser.go("/");
    assert_eq!(browser.count("[data-banner]"), 1);
    browser.check_quiet("a banner");
}
