//! Starting a run by the button and following it to its end, with and without a token; and what a run shows afterwards.

use std::fs;

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::{
    harness::Browser,
    lakes::{self, HeldRun},
};
use crate::server::Server;

/// Starts an incremental run.
const START: &str = "#start-run button[data-start=incremental]";

const TOKEN: &str = "a-token-that-nobody-guesses";

/// What the newest run is.
fn newest(server: &Server) -> Value {
    server.json("/runs?limit=1")["runs"][0].clone()
}

/// The state that the page shows of the run it follows.
fn until_state(browser: &Browser, state: &str) {
    browser.until_run(
        &format!("the run to be {state}"),
        &format!("return document.getElementById('run-state')?.dataset.state === '{state}'"),
    );
}

/// Nothing is left of what was typed.
#[track_caller]
fn check_nothing_kept(browser: &Browser) {
    let kept = browser.run("return [localStorage.length, sessionStorage.length]");
    assert_eq!(kept, json!([0, 0]), "storages");
    assert_eq!(browser.cookies(), [""; 0], "cookies");
    let databases =
        browser.run_async("const done = arguments[arguments.length - 1]; indexedDB.databases().then(found => done(found.length))");
    assert_eq!(databases, 0, "databases");
}

#[test]
fn a_run_is_started_and_followed_to_its_end() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/runs");
    browser.mark();
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    let before = newest(&server);
    browser.click(START);
    until_state(&browser, "succeeded");
    let run = newest(&server);
    assert_ne!(run["id"], before["id"], "a run of its own");
    assert_eq!(
        (&run["state"], &run["counts"]["changed"]),
        (&json!("succeeded"), &json!(1)),
        "{run}"
    );
    // The list has it as well, without a reload.
    let id = run["id"].as_str().unwrap();
    browser.until("the run in the list", || {
        browser.attributes("data-run-id").contains(&id.to_owned()).then_some(())
    });
    browser.check_not_reloaded();
    check_nothing_kept(&browser);
    browser.check_quiet("a run");
}

/// One who has to show a token is asked for it, and told where it is wrong.
#[test]
fn a_token_is_asked_for_and_forgotten() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, TOKEN).unwrap();
    let server = lakes::samples_with(&["--token-file", path.to_str().unwrap()]);
    let browser = Browser::open(&server);
    browser.go("/");
    browser.mark();
    let before = newest(&server);

    browser.click(START);
    browser.until_run("the dialog", "return document.querySelector('#token-dialog[open]') !== null");
    assert_eq!(
        browser.run("return document.activeElement.type"),
        "password",
        "the token can be typed at once, and is not shown"
    );
    browser.press(Key::Escape);
    browser.until_run("the dialog to go", "return document.querySelector('#token-dialog[open]') === null");
    assert_eq!(
        browser.run("return document.activeElement.dataset.start"),
        "incremental",
        "the focus is where it was"
    );
    assert_eq!(newest(&server), before, "nothing was started");

    browser.click(START);
    browser.fill("#token-dialog[open] input", "wrong");
    browser.press(Key::Enter);
    browser.until_run(
        "the refusal",
        "return document.querySelector('#token-dialog[open] [data-wrong]')?.checkVisibility() ?? false",
    );
    assert_eq!(newest(&server), before, "a wrong token starts nothing");

    browser.fill("#token-dialog[open] input", TOKEN);
    browser.press(Key::Enter);
    until_state(&browser, "succeeded");
    assert_ne!(newest(&server)["id"], before["id"]);
    check_nothing_kept(&browser);
    browser.check_not_reloaded();

    // It is kept as long as the page is open, and no longer.
    let id = newest(&server)["id"].clone();
    browser.click(START);
    browser.until("a second run", || (newest(&server)["id"] != id).then_some(()));
    assert_eq!(browser.count("#token-dialog[open]"), 0, "nobody is asked twice");
    browser.go("/");
    browser.click(START);
    browser.until_run("the dialog", "return document.querySelector('#token-dialog[open]') !== null");
}

/// An active run may have read the sources: the button starts another one.
#[test]
fn a_run_starts_beside_an_active_one() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    let held = HeldRun::start(&server);
    browser.go("/");
    browser.click(START);
    browser.until("another run", || {
        let id = browser.run("return document.getElementById('run-state').dataset.runId ?? null");
        (id.is_string() && id != held.id).then_some(())
    });
    until_state(&browser, "succeeded");
    assert_eq!(browser.count(&format!("#active-runs [data-active-run='{}']", held.id)), 1);
    drop(held);
    browser.check_quiet("a run beside another one");
}

/// On its own page an active run turns into its report, and in the list as well.
#[test]
fn an_active_run_is_followed_where_it_is_shown() {
    let server = lakes::samples();
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    let held = HeldRun::start(&server);
    let id = held.id.clone();
    let (run, list) = (Browser::open(&server), Browser::open(&server));
    run.go(&format!("/page/runs/{id}"));
    list.go("/page/runs");
    for browser in [&run, &list] {
        assert_eq!(browser.count(&format!("[data-active-run='{id}']")), 1, "{}", browser.address());
        browser.mark();
    }
    drop(held);
    for browser in [&run, &list] {
        browser.until("the end", || {
            (browser.count(&format!("[data-active-run='{id}']")) == 0).then_some(())
        });
        browser.until("its state", || (browser.count("main [data-state=succeeded]") >= 1).then_some(()));
        browser.check_not_reloaded();
        browser.check_quiet(browser.address());
    }
    assert_eq!(run.text("#counts [data-count=changed] td"), "1");
}

/// What an active run says shows while it goes on, and whoever is there by keys stays there.
#[test]
fn the_log_of_an_active_run_grows() {
    let server = lakes::samples();
    let held = HeldRun::start(&server);
    let browser = Browser::open(&server);
    browser.go(&format!("/page/runs/{}", held.id));
    browser.mark();
    browser.run("document.querySelector('#stop-run button').focus()");
    for word in ["first", "second"] {
        held.say(&format!("{{\"level\":\"INFO\",\"message\":\"the {word} word\"}}"));
        browser.until(word, || {
            let log = browser.run("return document.getElementById('log-tail')?.textContent ?? ''");
            log.as_str().unwrap().contains(&format!("the {word} word")).then_some(())
        });
        assert_eq!(
            browser.run("return document.activeElement.dataset.stop ?? null"),
            held.id,
            "the focus stays"
        );
    }
    assert_eq!(browser.count("#progress progress"), 1, "it is still under way");
    // The button goes with the run, and whoever was on it goes on within the main part.
    drop(held);
    browser.until("the end", || (browser.count("#stop-run") == 0).then_some(()));
    assert_eq!(browser.run("return document.activeElement.tagName"), "MAIN");
    browser.check_not_reloaded();
    browser.check_quiet("a log that grows");
}

/// A button that waits keeps the focus, and does nothing.
#[test]
fn a_button_that_waits_keeps_the_focus() {
    let server = lakes::samples();
    let held = HeldRun::start(&server);
    let browser = Browser::open(&server);
    browser.go("/page/runs");
    let count = || server.json("/runs")["count"].as_u64().unwrap();
    let before = count();
    // Twice before anything else can happen: the request of the first one is not answered yet.
    browser.run(&format!(
        "const button = document.querySelector('{START}'); button.focus(); button.click(); button.click()"
    ));
    browser.until("the run that was asked for", || (count() > before).then_some(()));
    let focused = "return document.activeElement.dataset.start ?? null";
    assert_eq!(browser.run(focused), "incremental");
    drop(held);
    until_state(&browser, "succeeded");
    assert_eq!(count(), before + 1, "a button that waits does nothing");
    browser.until_run(
        "the button to be ready",
        &format!("return document.querySelector('{START}').getAttribute('aria-disabled') === 'false'"),
    );
    assert_eq!(browser.run(focused), "incremental", "after the page was drawn anew");
}

#[test]
fn an_active_run_is_stopped() {
    let server = lakes::samples();
    let held = HeldRun::start(&server);
    let browser = Browser::open(&server);
    browser.go(&format!("/page/runs/{}", held.id));
    browser.mark();
    browser.click("#stop-run button[data-stop]");
    // A process that is held up ends once it goes on.
    browser.until_run(
        "the request to be sent",
        "return document.querySelector('#stop-state').textContent.trim() || !document.querySelector('#stop-run')",
    );
    let id = held.id.clone();
    drop(held);
    browser.until("the end", || (browser.count("main [data-state=stopped]") >= 1).then_some(()));
    assert_eq!(server.json(&format!("/runs/{id}"))["state"], "stopped");
    browser.check_not_reloaded();
}

/// The report, and what it made of the rows.
#[test]
fn a_run_shows_its_report_and_the_difference_it_made() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let run = newest(&server);
    browser.until("the versions to be read", || {
        browser.go(&format!("/page/runs/{}", run["id"].as_str().unwrap()));
        (browser.count("[data-made=next]") == 1).then_some(())
    });
    assert_eq!(browser.count(&format!("main [data-state='{}']", run["state"].as_str().unwrap())), 1);
    for table in ["counts", "requests"] {
        for (figure, value) in run[table].as_object().unwrap() {
            let shown = browser.text(&format!("#{table} [data-count='{figure}'] td"));
            assert_eq!(shown.replace(',', ""), value.to_string(), "{table}: {figure}");
        }
    }
    // The rows that differ, as /changes has them.
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
