//! Keyboard use: Tab reaches every control in document order, and the focus is visible.

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::{
    harness::{Browser, Scheme, Size, user_ids},
    lakes,
    views::{self, View},
};

/// Numbers the controls in document order, which Tab has to reach.
const NUMBER: &str = "
    const usable = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(element =>
        !element.disabled && element.tabIndex >= 0 && element.type !== 'hidden' && element.checkVisibility({ visibilityProperty: true }));
    // Of radio buttons with one name, Tab reaches the selected one.
    const isReached = element => {
        if (element.type !== 'radio' || element.checked) return true;
        const group = usable.filter(other => other.type === 'radio' && other.name === element.name);
        return !group.some(other => other.checked) && group[0] === element;
    };
    let number = 0;
    for (const element of usable.filter(isReached)) element.dataset.testNumber = number++;
    return number;";

/// Which control has the focus, whether the focus is visible, and whether the control is within the window.
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
fn tab_reaches_all_controls_in_order_with_visible_focus() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for View { path, .. } in views::views(&server) {
        browser.go_to(&path);
        let count = browser.run(NUMBER).as_u64().unwrap();
        assert!(count > 5, "{path} has links");
        // The first fifty controls suffice for the order.
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

/// The next control. Day, month and year of a date are parts of one input, and a scrollable element takes the focus for the arrow keys.
#[track_caller]
fn next(browser: &Browser, last: &Value) -> Value {
    /// The parts of a date, including the button of the calendar.
    const PARTS_MAX: usize = 5;
    for _ in 0..PARTS_MAX {
        browser.press(Key::Tab);
        let focused = browser.run(FOCUSED);
        let is_scroller = focused["number"] == -1 && focused["scrolls"] == true;
        if focused["number"] != *last && !is_scroller {
            return focused;
        }
    }
    panic!("Tab does not move on from {last} at {}", browser.address());
}

/// The first control is a link that skips the navigation.
#[test]
fn skip_link_moves_to_the_main_part() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.set_display(Scheme::Light, Size::DESK);
    for path in ["/", "/page/people", "/page/people/1000"] {
        browser.go_to(path);
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

/// A chart is one tab stop; the links of its columns are in the table after it.
#[test]
fn charts_are_one_tab_stop() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go_to("/");
    for id in ["ages", "changes"] {
        let stops = browser.run(&format!(
            "const card = document.querySelector('section[aria-labelledby={id}]');
             return [...card.querySelectorAll('a, summary, [tabindex]')].filter(one => one.tabIndex >= 0 && one.checkVisibility()).map(one => one.tagName)"
        ));
        assert_eq!(stops, json!(["SUMMARY"]), "{id}");
    }
    browser.run("document.querySelector('#ages-table summary').focus()");
    browser.press(Key::Enter);
    browser.wait_for_script("the table", "return document.getElementById('ages-table').open");
    // The scrollable box, then the first age.
    browser.press(Key::Tab);
    browser.press(Key::Tab);
    let href = browser.run("return document.activeElement.getAttribute('href')");
    assert_eq!(
        href,
        browser.run("return document.querySelector('section[aria-labelledby=ages] svg a').getAttribute('href')")
    );
    browser.press(Key::Enter);
    browser.wait_until("the users", || (browser.address() == href.as_str().unwrap()).then_some(()));
}

/// A filter is set and removed without a mouse.
#[test]
fn users_are_filtered_by_keyboard() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go_to("/page/people");
    browser.fill("[name=min_age]", "40");
    browser.press(Key::Enter);
    browser.wait_until("the address", || browser.address().contains("min_age=40").then_some(()));
    let rows: Value = server.json("/data?min_age=40");
    let ids = user_ids(&rows);
    browser.wait_until("the rows", || (browser.attributes("data-user-id") == ids).then_some(()));
}
