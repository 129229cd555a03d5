//! Properties of all views.

use serde_json::Value;

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
};
use crate::server::Server;

/// The maximum size of a page without its images, uncompressed.
pub(super) const BYTES_MAX: u64 = 80 * 1024;

/// A view, and the path of a page.
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) path: String,
}

/// All views of a lake with two versions and two runs.
pub(super) fn views(server: &Server) -> Vec<View> {
    let run_id = server.json("/runs?limit=1")["runs"][0]["id"].as_str().unwrap().to_owned();
    let view = |name, path: &str| View {
        name,
        path: path.to_owned(),
    };
    vec![
        view("overview", "/"),
        view("people", "/page/people"),
        view("people", "/page/people?view=gallery"),
        view("people", "/page/people?is_image_exists=True&min_age=30&order=age.desc&limit=5"),
        view("people", "/page/people?user_id=unknown"),
        view("person", "/page/people/1000"),
        view("person", "/page/people/1002"),
        view("runs", "/page/runs"),
        view("run", &format!("/page/runs/{run_id}")),
        view("rejects", "/page/rejects"),
        view("examples", "/page/examples"),
        view("versions", "/page/versions"),
        view("changes", "/page/changes?since=0&until=1"),
    ]
}

/// Paths of error pages.
pub(super) const PROBLEMS: [&str; 8] = [
    "/page/people?minage=30",
    "/page/people?min_age=young",
    "/page/people?version=99",
    "/page/people/unknown",
    "/page/runs/no-such-run",
    "/page/changes?since=99",
    "/page/nowhere",
    "/page/people?view=carousel",
];

/// The uncompressed size of the document and its resources, without images.
pub(super) fn weight(browser: &Browser) -> u64 {
    let weight = browser.run(
        "const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
         return entries.filter(entry => entry.initiatorType !== 'img').reduce((sum, entry) => sum + entry.decodedBodySize, 0)",
    );
    weight.as_u64().unwrap()
}

/// Checks that there is one heading of the first level, the landmarks, a language and a title.
#[track_caller]
fn check_frame(browser: &Browser, path: &str) {
    for selector in ["h1", "main", "body > header", "body > header nav", "body > footer", "html[lang]"] {
        assert_eq!(browser.count(selector), 1, "{path}: {selector}");
    }
    let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
    assert!(overflow.as_i64() <= Some(0), "{path} is wider than its window by {overflow} pixels");
}

#[test]
fn every_view_is_complete_and_small() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let mut titles = Vec::new();
    for View { name, path } in views(&server) {
        browser.go_to(&path);
        assert_eq!(browser.count(&format!("[data-view='{name}']")), 1, "{path} is the view {name}");
        check_frame(&browser, &path);
        let bytes = weight(&browser);
        assert!((1_000..=BYTES_MAX).contains(&bytes), "{path} weighs {bytes} bytes");
        browser.check_console_and_requests(&path);
        titles.push(browser.run("return document.title"));
    }
    titles.sort_by_key(ToString::to_string);
    titles.dedup();
    assert!(titles.len() >= 9, "each kind of view has its own title: {titles:?}");
}

/// An error page has the status of the API, and links back.
#[test]
fn problems_are_shown_as_pages() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for path in PROBLEMS {
        browser.go_to(path);
        check_frame(&browser, path);
        assert!(browser.count("main a[href^='/']") >= 1, "{path} links back");
        let status = browser.status();
        assert!((400..500).contains(&status), "{path}: {status}");
        // The browser logs the status of the document.
        let others: Vec<_> = browser
            .console()
            .into_iter()
            .filter(|message| !message.contains(&format!("{status}")))
            .collect();
        assert_eq!(others, [""; 0], "{path}");
    }
}

/// No view is wider than its window, except for tables in scrollable boxes.
#[test]
fn every_view_fits_its_window() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for size in [Size::PHONE, Size { width: 320, height: 568 }, Size { width: 1920, height: 1080 }] {
        browser.set_display(Scheme::Light, size);
        for View { path, .. } in views(&server) {
            browser.go_to(&path);
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

/// The elements that are wider than the window, for failure messages.
pub(super) fn widest(browser: &Browser, size: Size) -> Value {
    browser.run(&format!(
        "return [...document.querySelectorAll('body *')].filter(element => element.getBoundingClientRect().right > {} + 0.5)
            .map(element => element.outerHTML.slice(0, 120)).slice(0, 5)",
        size.width
    ))
}

/// All content is readable without JavaScript.
#[test]
fn every_view_is_readable_without_javascript() {
    let server = lakes::edited();
    let browser = Browser::without_scripts(&server);
    for View { name, path } in views(&server) {
        browser.go_to(&path);
        assert_eq!(browser.count(&format!("[data-view='{name}']")), 1, "{path} is the view {name}");
        check_frame(&browser, &path);
        let length = browser
            .run("return document.querySelector('main').innerText.length")
            .as_u64()
            .unwrap();
        assert!(length > 40, "{path} has text");
        browser.check_console_and_requests(&path);
    }
}

/// Without JavaScript, a page does not offer buttons that need it.
#[test]
fn page_without_javascript_shows_the_curl_command() {
    let server = lakes::samples();
    let browser = Browser::without_scripts(&server);
    browser.go_to("/page/runs");
    let is_seen = browser.run("return [...document.querySelectorAll('#start-run button')].some(button => button.checkVisibility())");
    assert_eq!(is_seen, false, "the button is hidden");
    let command = browser.run("return document.querySelector('#start-run').innerText");
    assert!(command.as_str().unwrap().contains("POST"), "the command is shown: {command}");
}

/// The harness detects console output and requests to other hosts, on which the other tests rely.
#[test]
fn console_output_and_foreign_requests_are_detected() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go_to("/");
    browser.check_console_and_requests("/");
    browser.run("console.warn('a warning')");
    browser.wait_until("the warning", || {
        browser.console().iter().any(|line| line.contains("a warning")).then_some(())
    });
    // The content security policy blocks the request, which the browser logs.
    browser.run("const image = new Image(); image.src = 'http://other.example/x.png'; document.body.append(image)");
    browser.wait_until("the violation", || {
        browser.console().iter().any(|line| line.contains("other.example")).then_some(())
    });
    browser.go_to("/openapi.json");
    browser.run("new Image().src = 'http://other.example/x.png'; return null");
    browser.wait_until("the request", || {
        browser
            .requests()
            .iter()
            .any(|address| address.starts_with("http://other.example/"))
            .then_some(())
    });
}
