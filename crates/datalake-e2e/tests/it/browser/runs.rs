//! Starting, following and stopping runs, with and without a token; and the page of a completed run.

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

const TOKEN: &str = "an-unguessable-token";

/// The latest run.
fn latest(server: &Server) -> Value {
    server.json("/runs?limit=1")["runs"][0].clone()
}

/// Waits until the followed run has a state.
fn until_state(browser: &Browser, state: &str) {
    browser.until_run(
        &format!("the run to be {state}"),
        &format!("return document.getElementById('run-state')?.dataset.state === '{state}'"),
    );
}

/// The browser has stored nothing.
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
fn button_starts_a_run_and_follows_it() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/runs");
    browser.mark();
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    let before = latest(&server);
    browser.click(START);
    until_state(&browser, "succeeded");
    let run = latest(&server);
    assert_ne!(run["id"], before["id"], "a new run");
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
    let message = browser.text("#run-state");
    assert!(message.starts_with("Run: Succeeded, 0 added, 1 changed, 0 removed"), "{message}");
    browser.click("#run-state .close");
    assert_eq!(browser.text("#run-state"), "");
    check_nothing_stored(&browser);
    browser.check_quiet("a run");
}

#[test]
fn dialog_asks_for_the_token_and_keeps_it_in_memory() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, TOKEN).unwrap();
    let server = lakes::samples_with(&["--token-file", path.to_str().unwrap()]);
    let browser = Browser::open(&server);
    browser.go("/");
    browser.mark();
    let before = latest(&server);

    browser.click(START);
    browser.until_run("the dialog", "return document.querySelector('#token-dialog[open]') !== null");
    assert_eq!(
        browser.run("return document.activeElement.type"),
        "password",
        "the field has the focus and hides the token"
    );
    browser.press(Key::Escape);
    browser.until_run("the dialog to go", "return document.querySelector('#token-dialog[open]') === null");
    assert_eq!(
        browser.run("return document.activeElement.dataset.start"),
        "incremental",
        "the focus returns to the button"
    );
    assert_eq!(latest(&server), before, "no run was started");

    browser.click(START);
    browser.fill("#token-dialog[open] input", "wrong");
    browser.press(Key::Enter);
    browser.until_run(
        "the error",
        "return document.querySelector('#token-dialog[open] [data-invalid-token]')?.checkVisibility() ?? false",
    );
    assert_eq!(latest(&server), before, "an invalid token starts no run");

    browser.fill("#token-dialog[open] input", TOKEN);
    browser.press(Key::Enter);
    until_state(&browser, "succeeded");
    assert_ne!(latest(&server)["id"], before["id"]);
    check_nothing_stored(&browser);
    browser.check_not_reloaded();

    // The token is kept until the page is left.
    let id = latest(&server)["id"].clone();
    browser.click(START);
    browser.until("a second run", || (latest(&server)["id"] != id).then_some(()));
    assert_eq!(browser.count("#token-dialog[open]"), 0, "the dialog stays closed");
    browser.go("/");
    browser.click(START);
    browser.until_run("the dialog", "return document.querySelector('#token-dialog[open]') !== null");
}

/// An active run may already have read the sources, so the button starts another one.
#[test]
fn button_starts_a_second_run() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    let suspended = SuspendedRun::start(&server);
    browser.go("/");
    browser.click(START);
    browser.until("another run", || {
        let id = browser.run("return document.getElementById('run-state').dataset.runId ?? null");
        (id.is_string() && id != suspended.id).then_some(())
    });
    until_state(&browser, "succeeded");
    assert_eq!(browser.count(&format!("#active-runs [data-active-run='{}']", suspended.id)), 1);
    drop(suspended);
    browser.check_quiet("a second run");
}

#[test]
fn active_run_is_updated_on_its_page_and_in_the_list() {
    let server = lakes::samples();
    lakes::write(&server, "1000.csv", lakes::source("Susanna", "Lee", "612302400000"));
    let suspended = SuspendedRun::start(&server);
    let id = suspended.id.clone();
    let (run, list) = (Browser::open(&server), Browser::open(&server));
    run.go(&format!("/page/runs/{id}"));
    list.go("/page/runs");
    for browser in [&run, &list] {
        assert_eq!(browser.count(&format!("[data-active-run='{id}']")), 1, "{}", browser.address());
        browser.mark();
    }
    drop(suspended);
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

#[test]
fn log_of_an_active_run_grows_and_the_focus_stays() {
    let server = lakes::samples();
    let suspended = SuspendedRun::start(&server);
    let browser = Browser::open(&server);
    browser.go(&format!("/page/runs/{}", suspended.id));
    browser.mark();
    browser.run("document.querySelector('#stop-run button').focus()");
    for number in ["first", "second"] {
        suspended.write_log(&format!("{{\"level\":\"INFO\",\"message\":\"the {number} line\"}}"));
        browser.until(number, || {
            let log = browser.run("return document.getElementById('log-tail')?.textContent ?? ''");
            log.as_str().unwrap().contains(&format!("the {number} line")).then_some(())
        });
        assert_eq!(
            browser.run("return document.activeElement.dataset.stop ?? null"),
            suspended.id,
            "the focus stays"
        );
    }
    assert_eq!(browser.count("#progress progress"), 1, "the run is still active");
    // The focused button disappears with the end of the run; the focus moves to `main`.
    drop(suspended);
    browser.until("the end", || (browser.count("#stop-run") == 0).then_some(()));
    assert_eq!(browser.run("return document.activeElement.tagName"), "MAIN");
    browser.check_not_reloaded();
    browser.check_quiet("a log that grows");
}

#[test]
fn disabled_button_keeps_the_focus_and_starts_no_run() {
    let server = lakes::samples();
    let suspended = SuspendedRun::start(&server);
    let browser = Browser::open(&server);
    browser.go("/page/runs");
    let count = || server.json("/runs")["count"].as_u64().unwrap();
    let before = count();
    // The second click occurs before the response to the first request.
    browser.run(&format!(
        "const button = document.querySelector('{START}'); button.focus(); button.click(); button.click()"
    ));
    browser.until("the requested run", || (count() > before).then_some(()));
    let focused = "return document.activeElement.dataset.start ?? null";
    assert_eq!(browser.run(focused), "incremental");
    drop(suspended);
    until_state(&browser, "succeeded");
    assert_eq!(count(), before + 1, "a disabled button starts no run");
    browser.until_run(
        "the button to be enabled",
        &format!("return document.querySelector('{START}').getAttribute('aria-disabled') === 'false'"),
    );
    assert_eq!(browser.run(focused), "incremental", "after the refresh");
}

#[test]
fn button_stops_a_run() {
    let server = lakes::samples();
    let suspended = SuspendedRun::start(&server);
    let browser = Browser::open(&server);
    browser.go(&format!("/page/runs/{}", suspended.id));
    browser.mark();
    browser.click("#stop-run button[data-stop]");
    // A suspended process ends once it continues.
    browser.until_run(
        "the request to be sent",
        "return document.querySelector('#stop-state').textContent.trim() || !document.querySelector('#stop-run')",
    );
    let id = suspended.id.clone();
    drop(suspended);
    browser.until("the end", || (browser.count("main [data-state=stopped]") >= 1).then_some(()));
    assert_eq!(server.json(&format!("/runs/{id}"))["state"], "stopped");
    browser.check_not_reloaded();
}

#[test]
fn blocked_removals_can_be_allowed_once() {
    let server = lakes::samples();
    for number in 1000..1030 {
        fs::remove_file(lakes::sources(&server).join(format!("{number}.csv"))).unwrap();
    }
    let blocked = lakes::run(&server);
    assert_eq!(blocked["state"], "blocked", "{blocked}");
    let browser = Browser::open(&server);
    browser.until("the banner", || {
        browser.go("/");
        (browser.count("[data-banner=blocked] a[href$='#blocked']") == 1).then_some(())
    });
    browser.click("[data-banner=blocked] a[href$='#blocked']");
    browser.until("the run", || (browser.count("#blocked") == 1).then_some(()));
    assert_eq!(browser.run("return document.querySelector('#blocked').dataset.count"), "30");
    assert_eq!(browser.text("#blocked li a"), "Susan Lee (1000)");
    let command = browser.run("return [...document.querySelectorAll('#blocked .curl code')].at(-1).textContent");
    let id = blocked["id"].as_str().unwrap();
    assert_eq!(command, format!("datalake process --lake lake --allow-mass-delete-of {id}"));
    browser.mark();
    browser.click("#allow-once button[data-allow]");
    until_state(&browser, "succeeded");
    let run = latest(&server);
    assert_eq!(
        (&run["allow_mass_delete_of"], &run["counts"]["removed"]),
        (&blocked["id"], &json!(30)),
        "{run}"
    );
    assert_eq!(server.json("/stats")["count"], 70);
    browser.check_not_reloaded();
    browser.check_quiet("allowed removals");
}

#[test]
fn phases_of_an_active_run_are_updated() {
    let server = lakes::samples();
    let suspended = SuspendedRun::start(&server);
    let browser = Browser::open(&server);
    browser.go(&format!("/page/runs/{}", suspended.id));
    browser.mark();
    for (phase, done) in [("reading", 11_484), ("reading", 20_000), ("copying", 3)] {
        suspended.write_log(&format!("\u{1e}progress {{\"phase\":\"{phase}\",\"done\":{done},\"total\":50000}}"));
        browser.until(phase, || {
            let current = browser.run("return document.querySelector('#phases [aria-current=step]')?.dataset.phase ?? null");
            let value = browser.run("return document.querySelector('#progress progress').value");
            (current == phase && value == done).then_some(())
        });
    }
    assert_eq!(browser.text("#phases [data-phase=copying] .count"), "3 of 50,000");
    assert_eq!(browser.count("#phases [data-state=done]"), 2);
    assert!(
        !server.json(&format!("/runs/{}", suspended.id)).to_string().contains("\\u001e"),
        "the log has no progress"
    );
    browser.check_not_reloaded();
    browser.check_quiet("phases");
}

#[test]
fn click_copies_the_whole_run_id() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/runs");
    let id = latest(&server)["id"].as_str().unwrap().to_owned();
    let cell = format!("#runs [data-run-id='{id}'] [data-copy]");
    let shown = browser.text(&cell);
    assert!(id.contains(&shown) && shown.len() <= 12, "{shown} of {id}");
    browser.run("document.execCommand = () => { window.copied = getSelection().toString(); return true; }; Object.defineProperty(navigator, 'clipboard', { value: { writeText: async text => { window.copied = text; } } }); return null");
    browser.click(&cell);
    browser.until("the ID", || {
        (browser.run("return window.copied ?? null") == id.as_str()).then_some(())
    });
}

#[test]
fn run_shows_its_report_and_changes() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let run = latest(&server);
    browser.until("the versions to be read", || {
        browser.go(&format!("/page/runs/{}", run["id"].as_str().unwrap()));
        (browser.count("[data-changes=between]") == 1).then_some(())
    });
    assert_eq!(browser.count(&format!("main [data-state='{}']", run["state"].as_str().unwrap())), 1);
    for table in ["counts", "requests"] {
        for (name, value) in run[table].as_object().unwrap() {
            let shown = browser.text(&format!("#{table} [data-count='{name}'] td"));
            assert_eq!(shown.replace(',', ""), value.to_string(), "{table}: {name}");
        }
    }
    // The changed rows are those of /changes.
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
