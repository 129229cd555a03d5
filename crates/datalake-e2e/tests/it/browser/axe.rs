//! The accessibility rules of axe-core, from npm: `npm install --prefix target/axe axe-core`, or from the `axe.min.js` that `DATALAKE_TEST_AXE`
//! names.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{
    harness::{Browser, Scheme, Size},
    lakes::{self, SuspendedRun},
    views::{self, View},
};

/// The script of axe-core, which the tests inject into pages over WebDriver.
#[expect(
    clippy::disallowed_methods,
    reason = "the script is not part of the repository, so the environment names it"
)]
fn script() -> String {
    let named = std::env::var_os("DATALAKE_TEST_AXE").map(PathBuf::from);
    let path = named.unwrap_or_else(|| {
        let tests = std::env::current_exe().unwrap();
        let target = tests.ancestors().find(|folder| folder.ends_with("target")).unwrap();
        target.join("axe/node_modules/axe-core/axe.min.js")
    });
    fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: install axe-core with `npm install --prefix target/axe axe-core`, or name its axe.min.js in DATALAKE_TEST_AXE",
            path.display()
        )
    })
}

/// The violations in the current page: lines with the rule and the element.
fn violations(browser: &Browser, script: &str) -> Vec<String> {
    browser.run(script);
    let found = browser.run_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document, { resultTypes: ['violations'] }).then(
             results => done({ rules: results.passes.length, lines: results.violations.flatMap(violation => violation.nodes.map(
                 node => `${violation.id}: ${node.target.join(' ')}: ${node.failureSummary.replaceAll('\\n', ' ')}`)) }),
             error => done({ rules: 0, lines: [String(error)] }))",
    );
    assert_ne!(found["rules"], 0, "axe-core has checked rules: {found}");
    let lines = found["lines"].as_array().unwrap();
    lines.iter().map(|line: &Value| line.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn check(browser: &Browser, paths: &[String]) {
    check_after(browser, paths, |_| {});
}

/// Checks each page in every display, after an action on the page.
#[track_caller]
fn check_after(browser: &Browser, paths: &[String], act: impl Fn(&Browser)) {
    let script = script();
    let mut found = Vec::new();
    for (scheme, size) in [
        (Scheme::Light, Size::DESK),
        (Scheme::Dark, Size::DESK),
        (Scheme::Light, Size::PHONE),
    ] {
        browser.set_display(scheme, size);
        for path in paths {
            browser.go_to(path);
            act(browser);
            let lines = violations(browser, &script);
            found.extend(
                lines
                    .into_iter()
                    .map(|line| format!("{path} ({scheme:?}, {} px): {line}", size.width)),
            );
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_view_is_accessible() {
    let server = lakes::edited();
    let paths: Vec<_> = views::views(&server).into_iter().map(|View { path, .. }| path).collect();
    check(&Browser::open(&server), &paths);
}

#[test]
fn problems_are_accessible() {
    let server = lakes::edited();
    check(&Browser::open(&server), &views::PROBLEMS.map(str::to_owned));
}

#[test]
fn empty_lake_is_accessible() {
    let server = lakes::empty();
    check(
        &Browser::open(&server),
        &["/", "/page/people", "/page/runs", "/page/rejects"].map(str::to_owned),
    );
}

/// With all details open, and with an invalid filter.
#[test]
fn open_details_are_accessible() {
    let server = lakes::edited();
    let paths = [
        "/",
        "/page/people",
        "/page/people?min_age=-1&order=age",
        "/page/people?on=2020-01-01&version=0",
    ];
    check_after(&Browser::open(&server), &paths.map(str::to_owned), |browser| {
        browser.run("for (const part of document.querySelectorAll('details')) part.open = true");
    });
}

#[test]
fn dialog_is_accessible() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "a-token-of-these-tests").unwrap();
    let server = lakes::samples_with(&["--token-file", path.to_str().unwrap()]);
    check_after(&Browser::open(&server), &["/".to_owned()], |browser| {
        browser.click("#start-run button[data-start=incremental]");
        browser.wait_for_script("the dialog", "return document.querySelector('#token-dialog[open]') !== null");
        // The state after a wrong token.
        browser.run("document.querySelector('#token-dialog [data-wrong]').hidden = false");
    });
}

#[test]
fn sign_in_page_is_accessible() {
    let server = lakes::protected();
    let paths = ["/".to_owned(), "/page/sign-in".to_owned()];
    check(&Browser::open(&server), &paths);
}

#[test]
fn active_run_is_accessible() {
    let server = lakes::samples();
    let suspended = SuspendedRun::start(&server);
    suspended.write_log("{\"level\":\"WARN\",\"message\":\"a word\",\"rows\":2}");
    let browser = Browser::open(&server);
    browser.go_to(&format!("/page/runs/{}", suspended.id));
    browser.wait_until("the log", || (browser.count("#log-tail") == 1).then_some(()));
    let paths = ["/".to_owned(), "/page/runs".to_owned(), format!("/page/runs/{}", suspended.id)];
    check(&browser, &paths);
}

/// A run that a guard blocked, and then an unavailable store.
#[test]
fn banners_are_accessible() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for entry in fs::read_dir(lakes::sources(&server)).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let refused = lakes::run(&server);
    let run = format!("/page/runs/{}", refused["id"].as_str().unwrap());
    browser.wait_until("the banner", || {
        browser.go_to("/");
        (browser.count("[data-banner=refused]") == 1).then_some(())
    });
    check(&browser, &["/".to_owned(), "/page/runs".to_owned(), run]);
    fs::rename(server.folder.path().join("lake"), server.folder.path().join("away")).unwrap();
    browser.wait_until("the banner", || {
        browser.go_to("/");
        (browser.count("[data-banner=store-down]") == 1).then_some(())
    });
    check(
        &browser,
        &["/", "/page/runs", "/page/versions", "/page/people/1000"].map(str::to_owned),
    );
}

#[test]
fn names_of_any_script_are_accessible() {
    let server = lakes::unusual_names();
    check(
        &Browser::open(&server),
        &[
            "/page/people",
            "/page/people?view=gallery",
            "/page/people/long",
            // Right-to-left scripts.
            "/page/people/3002",
            "/page/people/3003",
        ]
        .map(str::to_owned),
    );
}
