//! All of it works by keyboard: everything is reached in the order of the page, and it is seen where one is.

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::{
    harness::{Browser, Scheme, Size, user_ids},
    lakes,
    views::{self, View},
};

/// Numbers what can be used, in the order of the page: what the Tab key has to reach.
const NUMBER: &str = "
    const usable = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(element =>
        !element.disabled && element.tabIndex >= 0 && element.type !== 'hidden' && element.checkVisibility({ visibilityProperty: true }));
    // Of radio buttons of one name Tab reaches the one that is chosen.
    const isReached = element => {
        if (element.type !== 'radio' || element.checked) return true;
        const group = usable.filter(other => other.type === 'radio' && other.name === element.name);
        return !group.some(other => other.checked) && group[0] === element;
    };
    let number = 0;
    for (const element of usable.filter(isReached)) element.dataset.testNumber = number++;
    return number;";

/// Which of these has the focus, whether the browser would show that, and whether it is within the window.
const FOCUSED: &str = "
    const element = document.activeElement;
    if (element === document.body) return null;
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    const isOutlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    return {
        number: Number(element.dataset.testNumber ?? -1),
        element: element.outerHTML.slice(0, 100),
        ring: element.matches(':focus-visible') && isOutlined,
        scrolls: element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight,
        seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    };";

#[test]
fn tab_reaches_everything_in_order_and_it_is_seen() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for View { path, .. } in views::views(&server) {
        browser.go(&path);
        let count = browser.run(NUMBER).as_u64().unwrap();
        assert!(count > 5, "{path} has links");
        // The first fifty tell the order; a table of a hundred links goes on like that.
        let mut last = json!(-1);
        for number in 0..count.min(50) {
            let focused = next(&browser, &last);
            assert_eq!(focused["number"], json!(number), "{path}: {focused}");
            assert_eq!(
                (&focused["ring"], &focused["seen"]),
                (&json!(true), &json!(true)),
                "{path}: {focused}"
            );
            last = focused["number"].clone();
        }
    }
}

/// What Tab comes to next. Day, month and year of a date are parts of one input; and what scrolls takes the focus by itself, for the arrows.
#[track_caller]
fn next(browser: &Browser, last: &Value) -> Value {
    /// Parts of a date, with the button that opens a calendar.
    const PARTS_MAX: usize = 5;
    for _ in 0..PARTS_MAX {
        browser.press(Key::Tab);
        let focused = browser.run(FOCUSED);
        let is_scroller = focused["number"] == -1 && focused["scrolls"] == true;
        if focused["number"] != *last && !is_scroller {
            return focused;
        }
    }
    panic!("Tab does not lead on from {last} at {}", browser.address());
}

/// The first thing that one comes to leads past the navigation.
#[test]
fn the_skip_link_leads_to_the_main_part() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.look(Scheme::Light, Size::DESK);
    for path in ["/", "/page/people", "/page/people/1000"] {
        browser.go(path);
        browser.press(Key::Tab);
        let target = browser.run("return document.activeElement.getAttribute('href')");
        let target = target
            .as_str()
            .and_then(|target| target.strip_prefix('#'))
            .expect("a link within the page");
        browser.press(Key::Enter);
        browser.press(Key::Tab);
        let is_past = browser.run(&format!(
            "const main = document.querySelector('main'), at = document.activeElement;
             return document.getElementById('{target}').closest('main') === main
                 && (main.contains(at) || Boolean(main.compareDocumentPosition(at) & Node.DOCUMENT_POSITION_FOLLOWING))"
        ));
        assert_eq!(is_past, true, "{path}");
    }
}

/// Keys pass a chart in one step; what its columns lead to is reached in the table behind it.
#[test]
fn charts_are_one_stop() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/");
    for id in ["ages", "changes"] {
        let stops = browser.run(&format!(
            "const card = document.querySelector('section[aria-labelledby={id}]');
             return [...card.querySelectorAll('a, summary, [tabindex]')].filter(one => one.tabIndex >= 0 && one.checkVisibility()).map(one => one.tagName)"
        ));
        assert_eq!(stops, json!(["SUMMARY"]), "{id}");
    }
    browser.run("document.querySelector('#ages-table summary').focus()");
    browser.press(Key::Enter);
    browser.until_run("the table", "return document.getElementById('ages-table').open");
    // The box that scrolls, and then the first age.
    browser.press(Key::Tab);
    browser.press(Key::Tab);
    let href = browser.run("return document.activeElement.getAttribute('href')");
    assert_eq!(
        href,
        browser.run("return document.querySelector('section[aria-labelledby=ages] svg a').getAttribute('href')")
    );
    browser.press(Key::Enter);
    browser.until("the people", || (browser.address() == href.as_str().unwrap()).then_some(()));
}

/// A filter is set and left again without a mouse.
#[test]
fn people_are_filtered_by_keyboard() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/people");
    browser.fill("[name=min_age]", "40");
    browser.press(Key::Enter);
    browser.until("the address", || browser.address().contains("min_age=40").then_some(()));
    let rows: Value = server.json("/data?min_age=40");
    let ids = user_ids(&rows);
    browser.until("the rows", || (browser.attributes("data-user-id") == ids).then_some(()));
}
