//! What holds for every view, whatever it shows.

use serde_json::Value;

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
};
use crate::server::Server;

/// Of a page beside its pictures, as sent without compression.
pub(super) const BYTES_MAX: u64 = 80 * 1024;

/// A view, and an address that shows it.
pub(super) struct View {
    pub(super) name: &'static str,
    pub(super) path: String,
}

/// Every view, over a lake that has two versions and two runs.
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
        view("people", "/page/people?user_id=nobody"),
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

/// Addresses that are answered by a page that says why there is nothing.
pub(super) const PROBLEMS: [&str; 8] = [
    "/page/people?minage=30",
    "/page/people?min_age=young",
    "/page/people?version=99",
    "/page/people/nobody",
    "/page/runs/no-such-run",
    "/page/changes?since=99",
    "/page/nowhere",
    "/page/people?view=carousel",
];

/// Bytes of the document and all that it loads, as they are without compression, beside pictures.
pub(super) fn weight(browser: &Browser) -> u64 {
    let weight = browser.run(
        "const entries = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
         return entries.filter(entry => entry.initiatorType !== 'img').reduce((sum, entry) => sum + entry.decodedBodySize, 0)",
    );
    weight.as_u64().unwrap()
}

/// One heading of the first level, the landmarks, a language, and a title of its own.
#[track_caller]
fn check_frame(browser: &Browser, path: &str) {
    for selector in ["h1", "main", "body > header", "body > header nav", "body > footer", "html[lang]"] {
        assert_eq!(browser.count(selector), 1, "{path}: {selector}");
    }
    let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth");
    assert!(overflow.as_i64() <= Some(0), "{path} is wider than its window by {overflow} pixels");
}

#[test]
fn every_view_is_quiet_light_and_whole() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let mut titles = Vec::new();
    for View { name, path } in views(&server) {
        browser.go(&path);
        assert_eq!(browser.count(&format!("[data-view='{name}']")), 1, "{path} is the view {name}");
        check_frame(&browser, &path);
        let bytes = weight(&browser);
        assert!((1_000..=BYTES_MAX).contains(&bytes), "{path} weighs {bytes} bytes");
        browser.check_quiet(&path);
        titles.push(browser.run("return document.title"));
    }
    titles.sort_by_key(ToString::to_string);
    titles.dedup();
    assert!(titles.len() >= 9, "each kind of view has its own title: {titles:?}");
}

/// The status is that of the API, and the page leads back.
#[test]
fn problems_are_pages_as_well() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for path in PROBLEMS {
        browser.go(path);
        check_frame(&browser, path);
        assert!(browser.count("main a[href^='/']") >= 1, "{path} leads back");
        let status = browser.status();
        assert!((400..500).contains(&status), "{path}: {status}");
        // The browser itself says that the document was refused.
        let told: Vec<_> = browser
            .console()
            .into_iter()
            .filter(|message| !message.contains(&format!("{status}")))
            .collect();
        assert_eq!(told, [""; 0], "{path}");
    }
}

/// Nothing is wider than a phone, tables in their own boxes aside; and nothing is lost on a wide screen.
#[test]
fn every_view_fits_its_window() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for size in [Size::PHONE, Size { width: 320, height: 568 }, Size { width: 1920, height: 1080 }] {
        browser.look(Scheme::Light, size);
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

/// What reaches beyond the window, to tell where to look.
pub(super) fn widest(browser: &Browser, size: Size) -> Value {
    browser.run(&format!(
        "return [...document.querySelectorAll('body *')].filter(element => element.getBoundingClientRect().right > {} + 0.5)
            .map(element => element.outerHTML.slice(0, 120)).slice(0, 5)",
        size.width
    ))
}

/// What is read, compared and filtered with JavaScript is so without it.
#[test]
fn every_view_is_readable_without_javascript() {
    let server = lakes::edited();
    let browser = Browser::without_scripts(&server);
    for View { name, path } in views(&server) {
        browser.go(&path);
        assert_eq!(browser.count(&format!("[data-view='{name}']")), 1, "{path} is the view {name}");
        check_frame(&browser, &path);
        let words = browser
            .run("return document.querySelector('main').innerText.length")
            .as_u64()
            .unwrap();
        assert!(words > 40, "{path} has something to read");
        browser.check_quiet(&path);
    }
}

/// A page that scripts cannot run on does not offer what needs them.
#[test]
fn a_run_is_started_by_curl_where_there_is_no_javascript() {
    let server = lakes::samples();
    let browser = Browser::without_scripts(&server);
    browser.go("/page/runs");
    let is_seen = browser.run("return [...document.querySelectorAll('#start-run button')].some(button => button.checkVisibility())");
    assert_eq!(is_seen, false, "a button that does nothing is not shown");
    let command = browser.run("return document.querySelector('#start-run').innerText");
    assert!(command.as_str().unwrap().contains("POST"), "the way without it is told: {command}");
}

/// What the other tests trust in: whatever a page tells its console or wants of another host is seen.
#[test]
fn nothing_escapes_the_browser() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    browser.check_quiet("/");
    browser.run("console.warn('a word')");
    browser.until("the word", || {
        browser.console().iter().any(|line| line.contains("a word")).then_some(())
    });
    // The policy of the pages forbids it, which the browser tells as well.
    browser.run("const picture = new Image(); picture.src = 'http://other.example/x.png'; document.body.append(picture)");
    browser.until("the refusal", || {
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
