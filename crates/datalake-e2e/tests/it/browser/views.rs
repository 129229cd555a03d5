//! Checks that every view passes.

use serde_json::Value;

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
};
use crate::server::Server;

/// The maximum size of a page with its assets, without images and compression.
pub(super) const BYTES_MAX: u64 = 80 * 1024;

/// A view and its address.
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) path: String,
}

/// Every view of a lake with two versions and two runs.
pub(super) fn views(server: &Server) -> Vec<View> {
    let run_id = server.json("/runs?limit=1")["runs"][0]["id"].as_str().unwrap().to_owned();
    let view = |name, path: &str| View {
        name,
        path: path.to_owned(),
    };
    vec![
        view("overview", "/"),
        view("users", "/page/users"),
        view("users", "/page/users?view=gallery"),
        view("users", "/page/users?is_image_exists=True&min_age=30&order=age.desc&limit=5"),
        view("users", "/page/users?user_id=unknown"),
        view("user", "/page/users/1000"),
        view("user", "/page/users/1002"),
        view("runs", "/page/runs"),
        view("run", &format!("/page/runs/{run_id}")),
        view("users", "/page/users?q=su"),
        view("rejects", "/page/rejects"),
        view("rejects", "/page/rejects?kind=ignored"),
        view("reference", "/docs/rejects"),
        view("reference", "/docs/problems"),
        view("examples", "/page/examples"),
        view("versions", "/page/versions"),
        view("changes", "/page/changes?since=0&until=1"),
    ]
}

/// Whether the statistics of the overview leave no empty cell in their last row.
pub(super) fn statistics_are_full(browser: &Browser) -> bool {
    let is_full = browser.run(
        "const box = document.querySelector('.statistics').getBoundingClientRect();
         const last = document.querySelector('.statistics').lastElementChild.getBoundingClientRect();
         return Math.abs(box.right - last.right) < 3 && Math.abs(box.bottom - last.bottom) < 3",
    );
    is_full == true
}

/// Addresses that respond with a problem.
pub(super) const PROBLEMS: [&str; 8] = [
    "/page/users?minage=30",
    "/page/users?min_age=young",
    "/page/users?version=99",
    "/page/users/unknown",
    "/page/runs/no-such-run",
    "/page/changes?since=99",
    "/page/nowhere",
    "/page/users?view=carousel",
];

/// The size of the document and its assets, without images and compression.
pub(super) fn page_bytes(browser: &Browser) -> u64 {
    let bytes = browser.run(
        "const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
         return entries.filter(entry => entry.initiatorType !== 'img').reduce((sum, entry) => sum + entry.decodedBodySize, 0)",
    );
    bytes.as_u64().unwrap()
}

/// The page has one `h1`, landmarks and a language, and is not wider than the window.
#[track_caller]
fn check_frame(browser: &Browser, path: &str) {
    for selector in ["h1", "main", "body > header", "body > header nav", "body > footer", "html[lang]"] {
        assert_eq!(browser.count(selector), 1, "{path}: {selector}");
    }
    let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
    assert!(overflow.as_i64() <= Some(0), "{path} is wider than its window by {overflow} pixels");
}

#[test]
fn every_view_is_small_and_logs_nothing() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let mut titles = Vec::new();
    for View { name, path } in views(&server) {
        browser.go(&path);
        assert_eq!(browser.count(&format!("[data-view='{name}']")), 1, "{path} is the view {name}");
        check_frame(&browser, &path);
        let bytes = page_bytes(&browser);
        assert!((1_000..=BYTES_MAX).contains(&bytes), "{path} has {bytes} bytes");
        browser.check_quiet(&path);
        titles.push(browser.run("return document.title"));
    }
    titles.sort_by_key(ToString::to_string);
    titles.dedup();
    assert!(titles.len() >= 9, "each kind of view has its own title: {titles:?}");
}

#[test]
fn problems_are_pages_with_links() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for path in PROBLEMS {
        browser.go(path);
        check_frame(&browser, path);
        assert!(browser.count("main a[href^='/']") >= 1, "{path} has a link");
        let status = browser.status();
        assert!((400..500).contains(&status), "{path}: {status}");
        // The browser logs the status of the document.
        let messages: Vec<_> = browser
            .console()
            .into_iter()
            .filter(|message| !message.contains(&format!("{status}")))
            .collect();
        assert_eq!(messages, [""; 0], "{path}");
    }
}

#[test]
fn every_view_fits_its_window() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for size in [Size::PHONE, Size { width: 320, height: 568 }, Size { width: 1920, height: 1080 }] {
        browser.emulate(Scheme::Light, size);
        for View { path, .. } in views(&server) {
            browser.go(&path);
            let width = browser.run("return document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(
                width <= u64::from(size.width),
                "{path} is {width} pixels wide at {size:?}: {}",
                widest(&browser, size)
            );
            let broken = browser.run(
                "return [...document.querySelectorAll('time')].filter(time => time.getClientRects().length > 1).map(time => time.outerHTML)",
            );
            assert_eq!(broken, serde_json::json!([]), "{path} breaks a date at {size:?}");
        }
    }
}

/// The elements that extend beyond the window, for error messages.
pub(super) fn widest(browser: &Browser, size: Size) -> Value {
    browser.run(&format!(
        "return [...document.querySelectorAll('body *')].filter(element => element.getBoundingClientRect().right > {} + 0.5)
            .map(element => element.outerHTML.slice(0, 120)).slice(0, 5)",
        size.width
    ))
}

#[test]
fn every_view_works_without_javascript() {
    let server = lakes::edited();
    let browser = Browser::without_scripts(&server);
    for View { name, path } in views(&server) {
        browser.go(&path);
        assert_eq!(browser.count(&format!("[data-view='{name}']")), 1, "{path} is the view {name}");
        check_frame(&browser, &path);
        let characters = browser
            .run("return document.querySelector('main').innerText.length")
            .as_u64()
            .unwrap();
        assert!(characters > 40, "{path} has content");
        browser.check_quiet(&path);
    }
}

#[test]
fn curl_command_replaces_the_start_button_without_javascript() {
    let server = lakes::samples();
    let browser = Browser::without_scripts(&server);
    browser.go("/page/runs");
    let is_visible = browser.run("return [...document.querySelectorAll('#start-run button')].some(button => button.checkVisibility())");
    assert_eq!(is_visible, false, "the button is hidden");
    let command = browser.run("return document.querySelector('#start-run').innerText");
    assert!(command.as_str().unwrap().contains("POST"), "{command}");
}

/// `check_quiet` of the other tests relies on this.
#[test]
fn console_messages_and_foreign_requests_are_detected() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    browser.check_quiet("/");
    browser.run("console.warn('a warning')");
    browser.until("the message", || {
        browser.console().iter().any(|line| line.contains("a warning")).then_some(())
    });
    // The content security policy blocks the request, and the browser logs that.
    browser.run("const image = new Image(); image.src = 'http://other.example/x.png'; document.body.append(image)");
    browser.until("the blocked request", || {
        browser.console().iter().any(|line| line.contains("other.example")).then_some(())
    });
    browser.go("/openapi.json");
    browser.run("new Image().src = 'http://other.example/x.png'; return null");
    browser.until("the request", || {
        browser
            .requests()
            .iter()
            .any(|address| address.starts_with("http://other.example/"))
            .then_some(())
    });
}
