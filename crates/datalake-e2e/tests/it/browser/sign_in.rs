//! Signing in if reads require the token: the redirect to the requested page, runs without another dialog, and signing out.

use serde_json::json;

use super::{
    harness::Browser,
    lakes::{self, TOKEN},
};

#[test]
fn browser_signs_in_starts_a_run_and_signs_out() {
    let server = lakes::protected();
    let browser = Browser::open(&server);
    browser.go("/page/runs?limit=5");
    assert_eq!((browser.status(), browser.count("#sign-in")), (401, 1));
    assert_eq!(
        browser.run("return document.activeElement.id"),
        "sign-in-token",
        "the field has the focus"
    );

    browser.fill("#sign-in-token", "wrong");
    browser.click("#sign-in button");
    browser.until_run(
        "the error",
        "return document.querySelector('#sign-in-error')?.checkVisibility() ?? false",
    );
    assert_eq!(browser.cookies(), [""; 0]);
    browser.fill("#sign-in-token", TOKEN);
    browser.click("#sign-in button");
    browser.until_run("the requested page", "return document.getElementById('start-run') !== null");
    assert_eq!(browser.address(), "/page/runs?limit=5");
    assert_eq!(browser.cookies(), ["datalake_session"]);
    assert_eq!(browser.run("return document.cookie"), "", "scripts cannot read the cookie");

    // The console contains the two responses with 401 until here.
    browser.console();
    browser.mark();
    browser.click("#start-run button[data-start=incremental]");
    browser.until_run(
        "the run",
        "return document.getElementById('run-state')?.dataset.state === 'succeeded'",
    );
    assert_eq!(browser.count("#token-dialog[open]"), 0, "the dialog stays closed");
    browser.check_not_reloaded();
    browser.check_quiet("a run in a session");

    // After a link from another site the browser sends no cookie at first. `localhost` is another site than 127.0.0.1.
    browser.run(&format!("location.href = 'http://localhost:{}/page/sign-in'", server.port));
    let is_at = |host: &str, id: &str| format!("return location.hostname === '{host}' && document.getElementById('{id}') !== null");
    browser.until_run("the other site", &is_at("localhost", "sign-in"));
    browser.run(&format!("location.href = 'http://127.0.0.1:{}/page/versions'", server.port));
    browser.until_run("the page in the session", &is_at("127.0.0.1", "sign-out"));
    assert_eq!(browser.address(), "/page/versions");

    browser.click("#sign-out button");
    browser.until_run("the sign-in page", "return document.getElementById('sign-in') !== null");
    assert_eq!(browser.cookies(), [""; 0]);
    browser.go("/page/users");
    assert_eq!(browser.status(), 401);
    let kept = browser.run("return [localStorage.length, sessionStorage.length]");
    assert_eq!(kept, json!([0, 0]));
}

#[test]
fn open_page_shows_the_sign_in_form_when_the_session_ends() {
    let server = lakes::protected();
    let browser = Browser::open(&server);
    browser.go("/");
    browser.fill("#sign-in-token", TOKEN);
    browser.click("#sign-in button");
    browser.until_run("the overview", "return document.getElementById('sign-out') !== null");
    std::fs::write(server.folder.path().join("token"), "another-unguessable-token").unwrap();
    browser.until_run("the sign-in page", "return document.getElementById('sign-in') !== null");
    assert_eq!(browser.address(), "/");
}

#[test]
fn signing_in_works_without_javascript() {
    let server = lakes::protected();
    let browser = Browser::without_scripts(&server);
    browser.go("/page/rejects");
    browser.fill("#sign-in-token", TOKEN);
    browser.click("#sign-in button");
    browser.until("the requested page", || (browser.count("#sign-out") == 1).then_some(()));
    assert_eq!(browser.address(), "/page/rejects");
}
