//! Accessibility checks with axe-core. `npm install --prefix target/axe axe-core` installs it; `DATALAKE_TEST_AXE` names another `axe.min.js`.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{
    harness::{Browser, Scheme, Size},
    lakes::{self, SuspendedRun},
    views::{self, View},
};

/// The script of axe-core, which the tests inject by WebDriver.
#[expect(clippy::disallowed_methods, reason = "the environment names files outside of the repository")]
fn script() -> String {
    let named = std::env::var_os("DATALAKE_TEST_AXE").map(PathBuf::from);
    let path = named.unwrap_or_else(|| {
        let tests = std::env::current_exe().unwrap();
        let target = tests.ancestors().find(|folder| folder.ends_with("target")).unwrap();
        target.join("axe/node_modules/axe-core/axe.min.js")
    });
    fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: get axe-core by `npm install --prefix target/axe axe-core`, or name its axe.min.js in DATALAKE_TEST_AXE",
            path.display()
        )
    })
}

/// The violations that axe-core finds, each with its rule and element.
fn violations(browser: &Browser, script: &str) -> Vec<String> {
    browser.run(script);
    let found = browser.run_async(
        "const done = arguments[arguments.length - 1];
         axe.run(document, { resultTypes: ['violations'] }).then(
             results => done({ rules: results.passes.length, lines: results.violations.flatMap(violation => violation.nodes.map(
                 node => `${violation.id}: ${node.target.join(' ')}: ${node.failureSummary.replaceAll('\\n', ' ')}`)) }),
             error => done({ rules: 0, lines: [String(error)] }))",
    );
    assert_ne!(found["rules"], 0, "axe-core has run: {found}");
    let lines = found["lines"].as_array().unwrap();
    lines.iter().map(|line: &Value| line.as_str().unwrap().to_owned()).collect()
}

#[track_caller]
pub(super) fn check(browser: &Browser, paths: &[String]) {
    check_after(browser, paths, |_| {});
}

/// Checks each page after an action on it.
#[track_caller]
fn check_after(browser: &Browser, paths: &[String], action: impl Fn(&Browser)) {
    let script = script();
    let mut found = Vec::new();
    for (scheme, size) in [
        (Scheme::Light, Size::DESK),
        (Scheme::Dark, Size::DESK),
        (Scheme::Light, Size::PHONE),
    ] {
        browser.emulate(scheme, size);
        for path in paths {
            browser.go(path);
            action(browser);
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
        &["/", "/page/users", "/page/runs", "/page/rejects"].map(str::to_owned),
    );
}

/// With all details open, and with an invalid filter.
#[test]
fn open_details_are_accessible() {
    let server = lakes::edited();
    let paths = [
        "/",
        "/page/users",
        "/page/users?min_age=-1&order=age",
        "/page/users?on=2020-01-01&version=0",
    ];
    check_after(&Browser::open(&server), &paths.map(str::to_owned), |browser| {
        browser.run("for (const part of document.querySelectorAll('details')) part.open = true");
    });
}

#[test]
fn token_dialog_is_accessible() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "an-unguessable-token").unwrap();
    let server = lakes::samples_with(&["--token-file", path.to_str().unwrap()]);
    check_after(&Browser::open(&server), &["/".to_owned()], |browser| {
        browser.click("#start-run button[data-start=incremental]");
        browser.until_run("the dialog", "return document.querySelector('#token-dialog[open]') !== null");
        // As after an invalid token.
        browser.run("document.querySelector('#token-dialog [data-invalid-token]').hidden = false");
    });
}

#[test]
fn first_steps_and_blocked_removals_are_accessible() {
    let server = lakes::empty_with_runs();
    let browser = Browser::open(&server);
    browser.until("the first run", || {
        browser.go("/page/runs");
        (browser.count("#runs [data-state=waiting]") >= 1).then_some(())
    });
    check(&browser, &["/", "/page/runs"].map(str::to_owned));

    let server = lakes::samples();
    for number in 1000..1030 {
        fs::remove_file(lakes::sources(&server).join(format!("{number}.csv"))).unwrap();
    }
    let blocked = lakes::run(&server);
    let path = format!("/page/runs/{}", blocked["id"].as_str().unwrap());
    check(&Browser::open(&server), &[path]);
}

#[test]
fn rejects_of_a_refused_run_and_the_shortcuts_are_accessible() {
    let server = lakes::crowded();
    let run = server.json("/runs?limit=1")["runs"][0]["id"].as_str().unwrap().to_owned();
    check_after(&Browser::open(&server), &[format!("/page/runs/{run}")], |browser| {
        browser.run("document.querySelector('#api-menu').open = true");
    });
    check_after(&Browser::open(&server), &["/page/runs".to_owned()], |browser| {
        browser.click("[data-help]");
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
    suspended.write_log("{\"level\":\"WARN\",\"message\":\"a message\",\"rows\":2}");
    let browser = Browser::open(&server);
    browser.go(&format!("/page/runs/{}", suspended.id));
    browser.until("the log", || (browser.count("#log-tail") == 1).then_some(()));
    let paths = ["/".to_owned(), "/page/runs".to_owned(), format!("/page/runs/{}", suspended.id)];
    check(&browser, &paths);
}

/// A run that was blocked by a safety check, and an unreachable store.
#[test]
fn banners_are_accessible() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for entry in fs::read_dir(lakes::sources(&server)).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let refused = lakes::run(&server);
    let run = format!("/page/runs/{}", refused["id"].as_str().unwrap());
    browser.until("the banner", || {
        browser.go("/");
        (browser.count("[data-banner=blocked]") == 1).then_some(())
    });
    check(&browser, &["/".to_owned(), "/page/runs".to_owned(), run]);
    fs::rename(server.folder.path().join("lake"), server.folder.path().join("away")).unwrap();
    browser.until("the banner", || {
        browser.go("/");
        (browser.count("[data-banner=store-unreachable]") == 1).then_some(())
    });
    check(
        &browser,
        &["/", "/page/runs", "/page/versions", "/page/users/1000"].map(str::to_owned),
    );
}

#[test]
fn names_of_any_script_are_accessible() {
    let server = lakes::hostile();
    check(
        &Browser::open(&server),
        &[
            "/page/users",
            "/page/users?view=gallery",
            "/page/users/long",
            // Right-to-left scripts.
            "/page/users/3002",
            "/page/users/3003",
        ]
        .map(str::to_owned),
    );
}
