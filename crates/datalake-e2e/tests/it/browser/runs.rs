//! Starting a run with the button and following it to its end, with and without a token; and the page of a run.

use std::fs;

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::{
    harness::Browser,
    lakes::{self, SuspendedRun},
};
use crate::server::Server;

/// Starts an incremental run.
const START: &str = "#start-run button[data-start=incremental]";

const TOKEN: &str = "a-token-of-these-tests";

/// The newest run.
fn newest(server: &Server) -> Value {
    server.json("/runs?limit=1")["runs"][0].clone()
}

/// Waits until the page shows this state of the run.
fn wait_for_state(browser: &Browser, state: &str) {
    browser.wait_for_script(
        &format!("the run to be {state}"),
        &format!("return document.getElementById('run-state')?.dataset.state === '{state}'"),
    );
}

/// Checks that the browser stores nothing.
#[track_caller]
fn check_nothing_stored(browser: &Browser) {
    let kept = browser.run("return [localStorage.length, sessionStorage.length]");
    assert_eq!(kept, json!([0, 0]), "storages");
    assert_eq!(browser.cookies(), [""; 0], "cookies");
    let databases =
        browser.run_async("const done = arguments[arguments.length - 1]; indexedDB.databases().then(found => done(found.length))");
    assert_eq!(databases, 0, "databases");
}

#[test]
fn run_is_started_and_followed_to_its_end() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go_to("/page/runs");
    browser.mark();
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    let before = newest(&server);
    browser.click(START);
    wait_for_state(&browser, "succeeded");
    let run = newest(&server);
    assert_ne!(run["id"], before["id"], "a new run");
    assert_eq!(
        (&run["state"], &run["counts"]["changed"]),
        (&json!("succeeded"), &json!(1)),
        "{run}"
    );
    // The list contains it, too, without a reload.
    let id = run["id"].as_str().unwrap();
    browser.wait_until("the run in the list", || {
        browser.attributes("data-run-id").contains(&id.to_owned()).then_some(())
    });
    browser.check_not_reloaded();
    check_nothing_stored(&browser);
    browser.check_console_and_requests("a run");
}

/// A dialog requests the token, and shows an error for a wrong one.
#[test]
fn token_is_requested_and_not_stored() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, TOKEN).unwrap();
    let server = lakes::samples_with(&["--token-file", path.to_str().unwrap()]);
    let browser = Browser::open(&server);
    browser.go_to("/");
    browser.mark();
    let before = newest(&server);

    browser.click(START);
    browser.wait_for_script("the dialog", "return document.querySelector('#token-dialog[open]') !== null");
    assert_eq!(
        browser.run("return document.activeElement.type"),
        "password",
        "the input has the focus, and hides the token"
    );
    browser.press(Key::Escape);
    browser.wait_for_script(
        "the dialog to close",
        "return document.querySelector('#token-dialog[open]') === null",
    );
    assert_eq!(
        browser.run("return document.activeElement.dataset.start"),
        "incremental",
        "the focus is restored"
    );
    assert_eq!(newest(&server), before, "no run was started");

    browser.click(START);
    browser.fill("#token-dialog[open] input", "wrong");
    browser.press(Key::Enter);
    browser.wait_for_script(
        "the error",
        "return document.querySelector('#token-dialog[open] [data-wrong]')?.checkVisibility() ?? false",
    );
    assert_eq!(newest(&server), before, "a wrong token starts no run");

    browser.fill("#token-dialog[open] input", TOKEN);
    browser.press(Key::Enter);
    wait_for_state(&browser, "succeeded");
    assert_ne!(newest(&server)["id"], before["id"]);
    check_nothing_stored(&browser);
    browser.check_not_reloaded();

    // The token is kept only while the page is open.
    let id = newest(&server)["id"].clone();
    browser.click(START);
    browser.wait_until("a second run", || (newest(&server)["id"] != id).then_some(()));
    assert_eq!(browser.count("#token-dialog[open]"), 0, "the token is requested once");
    browser.go_to("/");
    browser.click(START);
    browser.wait_for_script("the dialog", "return document.querySelector('#token-dialog[open]') !== null");
}

/// An active run may have read the sources, so the button starts another one.
#[test]
fn run_starts_while_another_one_is_active() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    let suspended = SuspendedRun::start(&server);
    browser.go_to("/");
    browser.click(START);
    browser.wait_until("another run", || {
        let id = browser.run("return document.getElementById('run-state').dataset.runId ?? null");
        (id.is_string() && id != suspended.id).then_some(())
    });
    wait_for_state(&browser, "succeeded");
    assert_eq!(browser.count(&format!("#active-runs [data-active-run='{}']", suspended.id)), 1);
    drop(suspended);
    browser.check_console_and_requests("two runs");
}

/// The page of an active run shows its report after the end, and the list is updated.
#[test]
fn page_and_list_follow_an_active_run() {
    let server = lakes::samples();
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    let suspended = SuspendedRun::start(&server);
    let id = suspended.id.clone();
    let (run, list) = (Browser::open(&server), Browser::open(&server));
    run.go_to(&format!("/page/runs/{id}"));
    list.go_to("/page/runs");
    for browser in [&run, &list] {
        assert_eq!(browser.count(&format!("[data-active-run='{id}']")), 1, "{}", browser.address());
        browser.mark();
    }
    drop(suspended);
    for browser in [&run, &list] {
        browser.wait_until("the end", || {
            (browser.count(&format!("[data-active-run='{id}']")) == 0).then_some(())
        });
        browser.wait_until("its state", || (browser.count("main [data-state=succeeded]") >= 1).then_some(()));
        browser.check_not_reloaded();
        browser.check_console_and_requests(browser.address());
    }
    assert_eq!(run.text("#counts [data-count=changed] td"), "1");
}

/// The log of an active run is updated, and the focus is kept.
#[test]
fn log_of_an_active_run_grows() {
    let server = lakes::samples();
    let suspended = SuspendedRun::start(&server);
    let browser = Browser::open(&server);
    browser.go_to(&format!("/page/runs/{}", suspended.id));
    browser.mark();
    browser.run("document.querySelector('#stop-run button').focus()");
    for word in ["first", "second"] {
        suspended.write_log(&format!("{{\"level\":\"INFO\",\"message\":\"the {word} word\"}}"));
        browser.wait_until(word, || {
            let log = browser.run("return document.getElementById('log-tail')?.textContent ?? ''");
            log.as_str().unwrap().contains(&format!("the {word} word")).then_some(())
        });
        assert_eq!(
            browser.run("return document.activeElement.dataset.stop ?? null"),
            suspended.id,
            "the focus stays"
        );
    }
    assert_eq!(browser.count("#progress progress"), 1, "the run is still active");
    // The button is removed at the end of the run, and the focus moves to the main part.
    drop(suspended);
    browser.wait_until("the end", || (browser.count("#stop-run") == 0).then_some(()));
    assert_eq!(browser.run("return document.activeElement.tagName"), "MAIN");
    browser.check_not_reloaded();
    browser.check_console_and_requests("a log that grows");
}

/// A busy button keeps the focus, and ignores clicks.
#[test]
fn busy_button_keeps_the_focus() {
    let server = lakes::samples();
    let suspended = SuspendedRun::start(&server);
    let browser = Browser::open(&server);
    browser.go_to("/page/runs");
    let count = || server.json("/runs")["count"].as_u64().unwrap();
    let before = count();
    // Two clicks in one task, before the response to the first request.
    browser.run(&format!(
        "const button = document.querySelector('{START}'); button.focus(); button.click(); button.click()"
    ));
    browser.wait_until("the requested run", || (count() > before).then_some(()));
    let focused = "return document.activeElement.dataset.start ?? null";
    assert_eq!(browser.run(focused), "incremental");
    drop(suspended);
    wait_for_state(&browser, "succeeded");
    assert_eq!(count(), before + 1, "a busy button ignores clicks");
    browser.wait_for_script(
        "the button to be ready",
        &format!("return document.querySelector('{START}').getAttribute('aria-disabled') === 'false'"),
    );
    assert_eq!(browser.run(focused), "incremental", "after the update of the page");
}

#[test]
fn active_run_is_stopped() {
    let server = lakes::samples();
    let suspended = SuspendedRun::start(&server);
    let browser = Browser::open(&server);
    browser.go_to(&format!("/page/runs/{}", suspended.id));
    browser.mark();
    browser.click("#stop-run button[data-stop]");
    // A suspended process ends when it continues.
    browser.wait_for_script(
        "the request to be sent",
        "return document.querySelector('#stop-state').textContent.trim() || !document.querySelector('#stop-run')",
    );
    let id = suspended.id.clone();
    drop(suspended);
    browser.wait_until("the end", || (browser.count("main [data-state=stopped]") >= 1).then_some(()));
    assert_eq!(server.json(&format!("/runs/{id}"))["state"], "stopped");
    browser.check_not_reloaded();
}

/// The report, and the changed rows.
#[test]
fn run_shows_its_report_and_the_changed_rows() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let run = newest(&server);
    browser.wait_until("the versions to be read", || {
        browser.go_to(&format!("/page/runs/{}", run["id"].as_str().unwrap()));
        (browser.count("[data-made=next]") == 1).then_some(())
    });
    assert_eq!(browser.count(&format!("main [data-state='{}']", run["state"].as_str().unwrap())), 1);
    for table in ["counts", "requests"] {
        for (name, value) in run[table].as_object().unwrap() {
            let shown = browser.text(&format!("#{table} [data-count='{name}'] td"));
            assert_eq!(shown.replace(',', ""), value.to_string(), "{table}: {name}");
        }
    }
    // The rows of /changes.
    let version = run["version"].as_u64().unwrap();
    let lines = server.curl(&format!("/changes?since={}&until={version}", version - 1), "");
    let changes: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = changes
        .iter()
        .map(|change| change["user_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(browser.attributes("data-user-id"), ids);
    let kinds: Vec<_> = changes.iter().map(|change| change["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(browser.attributes("data-change"), kinds);
}
