//! Keyboard navigation: Tab reaches all controls in the order of the page, and the focus is visible.

use fantoccini::key::Key;
use serde_json::{Value, json};

use super::{
    harness::{Browser, Scheme, Size, user_ids},
    lakes,
    views::{self, View},
};

/// Numbers all controls in the order of the page: those that the Tab key must reach.
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

/// Which control has the focus, whether the browser shows that, and whether it is within the window.
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
        visible: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    };";

#[test]
fn tab_reaches_all_controls_in_order_with_a_visible_focus() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for View { path, .. } in views::views(&server) {
        browser.go(&path);
        let count = browser.run(NUMBER).as_u64().unwrap();
        assert!(count > 5, "{path} has links");
        // The first 50 are enough to check the order.
        let mut last = json!(-1);
        for number in 0..count.min(50) {
            let focused = next(&browser, &last);
            assert_eq!(focused["number"], json!(number), "{path}: {focused}");
            assert_eq!(
                (&focused["ring"], &focused["visible"]),
                (&json!(true), &json!(true)),
                "{path}: {focused}"
            );
            last = focused["number"].clone();
        }
    }
}

/// The next control that Tab reaches. A date input has several parts, and boxes that scroll take the focus as well.
#[track_caller]
fn next(browser: &Browser, last: &Value) -> Value {
    /// The parts of a date input, with the button that opens a calendar.
    const PARTS_MAX: usize = 5;
    for _ in 0..PARTS_MAX {
        browser.press(Key::Tab);
        let focused = browser.run(FOCUSED);
        let is_scroller = focused["number"] == -1 && focused["scrolls"] == true;
        if focused["number"] != *last && !is_scroller {
            return focused;
        }
    }
    panic!("Tab does not move from {last} at {}", browser.address());
}

#[test]
fn skip_link_moves_the_focus_to_the_main_content() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.emulate(Scheme::Light, Size::DESK);
    for path in ["/", "/page/users", "/page/users/1000"] {
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

#[test]
fn chart_is_one_tab_stop_with_links_in_its_table() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/");
    for id in ["chart-age", "changes"] {
        let stops = browser.run(&format!(
            "const card = document.querySelector('section[aria-labelledby={id}]');
             return [...card.querySelectorAll('a, summary, [tabindex]')].filter(one => one.tabIndex >= 0 && one.checkVisibility()).map(one => one.tagName)"
        ));
        assert_eq!(stops, json!(["SUMMARY"]), "{id}");
    }
    browser.run("document.querySelector('#chart-age-table summary').focus()");
    browser.press(Key::Enter);
    browser.until_run("the table", "return document.getElementById('chart-age-table').open");
    // The box that scrolls, then the first age.
    browser.press(Key::Tab);
    browser.press(Key::Tab);
    let href = browser.run("return document.activeElement.getAttribute('href')");
    assert_eq!(
        href,
        browser.run("return document.querySelector('section[aria-labelledby=chart-age] svg a').getAttribute('href')")
    );
    browser.press(Key::Enter);
    browser.until("the users", || (browser.address() == href.as_str().unwrap()).then_some(()));
}

#[test]
fn users_are_filtered_by_keyboard() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    browser.run("document.getElementById('age_mode').value = 'range'");
    browser.fill("[name=min_age]", "40");
    browser.press(Key::Enter);
    browser.until("the address", || browser.address().contains("min_age=40").then_some(()));
    let rows: Value = server.json("/data?min_age=40");
    let ids = user_ids(&rows);
    browser.until("the rows", || (browser.attributes("data-user-id") == ids).then_some(()));
}
