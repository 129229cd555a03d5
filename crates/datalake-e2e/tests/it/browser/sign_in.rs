//! Signing in where reads need the token: the page that was requested, runs without entering the token again, and signing out.

use serde_json::json;

use super::{
    harness::Browser,
    lakes::{self, TOKEN},
};

#[test]
fn browser_signs_in_starts_a_run_and_signs_out() {
    let server = lakes::protected();
    let browser = Browser::open(&server);
    browser.go_to("/page/runs?limit=5");
    assert_eq!((browser.status(), browser.count("#sign-in")), (401, 1));
    assert_eq!(
        browser.run("return document.activeElement.id"),
        "sign-in-token",
        "the input has the focus"
    );

    browser.fill("#sign-in-token", "wrong");
    browser.click("#sign-in button");
    browser.wait_for_script(
        "the error",
        "return document.querySelector('#sign-in-error')?.checkVisibility() ?? false",
    );
    assert_eq!(browser.cookies(), [""; 0]);
    browser.fill("#sign-in-token", TOKEN);
    browser.click("#sign-in button");
    browser.wait_for_script("the requested page", "return document.getElementById('start-run') !== null");
    assert_eq!(browser.address(), "/page/runs?limit=5");
    assert_eq!(browser.cookies(), ["datalake_session"]);
    assert_eq!(browser.run("return document.cookie"), "", "no script reads the cookie");

    // The console shows the two earlier 401; from here on there is none.
    browser.console();
    browser.mark();
    browser.click("#start-run button[data-start=incremental]");
    browser.wait_for_script(
        "the run",
        "return document.getElementById('run-state')?.dataset.state === 'succeeded'",
    );
    assert_eq!(
        browser.count("#token-dialog[open]"),
        0,
        "a signed-in browser does not need to enter the token"
    );
    browser.check_not_reloaded();
    browser.check_console_and_requests("a run in a session");

    // After a link on another site, the first request has no cookie; `localhost` and 127.0.0.1 are different sites.
    browser.run(&format!("location.href = 'http://localhost:{}/page/sign-in'", server.port));
    let is_at = |host: &str, id: &str| format!("return location.hostname === '{host}' && document.getElementById('{id}') !== null");
    browser.wait_for_script("the other site", &is_at("localhost", "sign-in"));
    browser.run(&format!("location.href = 'http://127.0.0.1:{}/page/versions'", server.port));
    browser.wait_for_script("the page in the session", &is_at("127.0.0.1", "sign-out"));
    assert_eq!(browser.address(), "/page/versions");

    browser.click("#sign-out button");
    browser.wait_for_script("the sign-in page", "return document.getElementById('sign-in') !== null");
    assert_eq!(browser.cookies(), [""; 0]);
    browser.go_to("/page/users");
    assert_eq!(browser.status(), 401);
    let kept = browser.run("return [localStorage.length, sessionStorage.length]");
    assert_eq!(kept, json!([0, 0]));
}

/// When a session ends while a page is open, the page no longer shows rows.
#[test]
fn page_of_an_ended_session_shows_the_sign_in_form() {
    let server = lakes::protected();
    let browser = Browser::open(&server);
    browser.go_to("/");
    browser.fill("#sign-in-token", TOKEN);
    browser.click("#sign-in button");
    browser.wait_for_script("the overview", "return document.getElementById('sign-out') !== null");
    std::fs::write(server.folder.path().join("token"), "another-token-of-these-tests").unwrap();
    browser.wait_for_script("the sign-in page", "return document.getElementById('sign-in') !== null");
    assert_eq!(browser.address(), "/");
}

#[test]
fn sign_in_works_without_javascript() {
    let server = lakes::protected();
    let browser = Browser::without_scripts(&server);
    browser.go_to("/page/rejects");
    browser.fill("#sign-in-token", TOKEN);
    browser.click("#sign-in button");
    browser.wait_until("the requested page", || (browser.count("#sign-out") == 1).then_some(()));
    assert_eq!(browser.address(), "/page/rejects");
}
