//! The filter form: the address contains the selected filters, with and without JavaScript, and the form keeps them.

use serde_json::{Value, json};

use super::{harness::Browser, lakes};

/// The values of controls by their selectors, and the query that they mean.
const CASES: &[(&[(&str, &str)], &str)] = &[
    (&[("[name=is_image_exists]", "False")], "is_image_exists=False"),
    (
        &[("[name=age_mode]", "range"), ("[name=min_age]", "30"), ("[name=max_age]", "35")],
        "min_age=30&max_age=35",
    ),
    (&[("[name=age_mode]", "lowest")], "min_age"),
    (
        &[("[name=age_mode]", "highest"), ("[name=is_image_exists]", "True")],
        "max_age&is_image_exists=True",
    ),
    (&[("[name=age_mode]", "extremes")], "min_age&max_age"),
    (
        &[("[name=age_mode]", "highest-from"), ("[name=min_age]", "30")],
        "min_age=30&max_age",
    ),
    (
        &[("[name=age_mode]", "range"), ("[name=min_age]", "30"), ("[name=on]", "2020-01-01")],
        "min_age=30&on=2020-01-01",
    ),
    (
        &[("[name=is_image_exists]", "True"), ("[name=q]", "su")],
        "q=su&is_image_exists=True",
    ),
    (
        &[
            ("[name=column]", "last_name"),
            ("[name=operator]", "in"),
            ("[name=value]", "Lee,Fox"),
        ],
        "last_name__in=Lee,Fox",
    ),
    (
        &[
            ("[name=column]", "first_name"),
            ("[name=operator]", "contains"),
            ("[name=value]", "an"),
        ],
        "first_name__contains=an",
    ),
    (&[("[name=column]", "img_path"), ("[name=operator]", "isnull")], "img_path__isnull"),
    (
        &[("[name=order_by]", "age"), ("[name=direction]", "desc"), ("[name=limit]", "10")],
        "order=age.desc&limit=10",
    ),
    (
        &[("[name=version]", "0"), ("[name=is_image_exists]", "False")],
        "version=0&is_image_exists=False",
    ),
    (
        &[("[name=as_of]", "2100-01-01"), ("[name=age_mode]", "lowest")],
        "as_of=2100-01-01&min_age",
    ),
];

/// Sets the controls and submits the form.
fn submit(browser: &Browser, controls: &[(&str, &str)]) {
    for (selector, value) in controls {
        browser.run(&format!(
            "const control = document.getElementById('user-filters').elements.namedItem({}.slice(6, -1)), value = {};
             const field = control.length > 0 && !control.options ? control[0] : control;
             field.value = value;
             return field.value === value",
            json!(selector),
            json!(value)
        ));
    }
    browser.click("#user-filters button:not([type=button])");
    until_applied(browser);
}

/// Waits until the page shows the rows of the form. With JavaScript, it is not reloaded.
fn until_applied(browser: &Browser) {
    browser.until("the response", || {
        let is_applied = browser.count("#user-filters[data-applying]") == 0;
        (is_applied && browser.address().contains('?')).then_some(())
    });
}

fn check(server: &crate::server::Server, browser: &Browser) {
    for (controls, expected_query) in CASES {
        browser.go("/page/users");
        submit(browser, controls);
        let address = browser.address();
        let (path, query) = address.split_once('?').unwrap();
        assert_eq!(path, "/page/users", "{expected_query}");
        let limit = if expected_query.contains("limit") { "" } else { "&limit=50" };
        let expected = server.json(&format!("/data?{expected_query}{limit}"));
        // The API accepts the query of the address.
        assert_eq!(
            server.json(&format!("/data?{query}{}", if query.contains("limit=") { "" } else { "&limit=50" })),
            expected,
            "{address}"
        );
        let ids: Vec<_> = expected.as_array().unwrap().iter().map(|row| row["user_id"].clone()).collect();
        assert_eq!(json!(browser.attributes("data-user-id")), json!(ids), "{address}");
        for (selector, value) in *controls {
            let kept = browser.run(&format!(
                "const control = document.getElementById('user-filters').elements.namedItem({}.slice(6, -1));
                 return (control.length > 0 && !control.options ? control[0] : control).value",
                json!(selector)
            ));
            assert_eq!(kept, Value::from(*value), "{selector} after {address}");
        }
    }
}

#[test]
fn form_filters_the_users() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    check(&server, &browser);
    browser.check_quiet("the form");
}

#[test]
fn form_works_without_javascript() {
    let server = lakes::edited();
    check(&server, &Browser::without_scripts(&server));
}

#[test]
fn filters_and_view_mode_are_kept() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users?min_age=40");
    let ids = browser.attributes("data-user-id");
    browser.click("a[data-view-mode=gallery]");
    browser.until("the gallery", || browser.address().contains("view=gallery").then_some(()));
    assert_eq!(browser.attributes("data-user-id"), ids);
    submit(&browser, &[("[name=is_image_exists]", "True")]);
    browser.until("the filter", || browser.address().contains("is_image_exists=True").then_some(()));
    assert!(browser.address().contains("view=gallery"), "{}", browser.address());
}

/// Changes a control as a user does.
fn change(browser: &Browser, selector: &str, value: &str) {
    browser.run(&format!(
        "const control = document.querySelector({}); control.focus(); control.value = {};
         control.dispatchEvent(new Event('change', {{ bubbles: true }})); return null",
        json!(selector),
        json!(value)
    ));
}

#[test]
fn change_applies_at_once_and_keeps_the_focus() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    browser.mark();
    change(&browser, "#is_image_exists", "False");
    until_applied(&browser);
    assert!(browser.address().contains("is_image_exists=False"), "{}", browser.address());
    assert_eq!(browser.run("return document.activeElement.id"), "is_image_exists");
    // A range without a number is not complete yet.
    change(&browser, "#age_mode", "range");
    browser.until_run(
        "the field",
        "return document.getElementById('min_age').checkVisibility() && document.activeElement.id === 'min_age'",
    );
    change(&browser, "#min_age", "30");
    browser.until("the range", || browser.address().contains("min_age=30").then_some(()));
    until_applied(&browser);
    let expected = server.json("/data?is_image_exists=False&min_age=30");
    assert_eq!(
        json!(browser.attributes("data-user-id")),
        json!(super::harness::user_ids(&expected))
    );
    browser.check_not_reloaded();
    // The browser's back button shows the earlier filters.
    browser.run("history.back(); return null");
    browser.until("the earlier filters", || (!browser.address().contains("min_age")).then_some(()));
    browser.until("the earlier rows", || {
        let rows = server.json("/data?is_image_exists=False");
        (browser.attributes("data-user-id") == super::harness::user_ids(&rows)).then_some(())
    });
}

#[test]
fn filters_are_added_and_removed_as_chips() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    browser.click("#add-filter > summary");
    // The column's type decides the input and the operators.
    change(&browser, "[data-draft] [name=column]", "birthts");
    assert_eq!(
        browser.run("return document.querySelector('[data-draft] [name=value]').type"),
        "date"
    );
    let operators = browser.run(
        "return [...document.querySelector('[data-draft] [name=operator]').options].filter(option => !option.hidden).map(option => option.value)",
    );
    assert_eq!(operators, json!(["exact", "gt", "gte", "lt", "lte", "isnull", "notnull"]));
    assert!(
        !browser.address().contains('?'),
        "an incomplete filter does not apply: {}",
        browser.address()
    );
    change(&browser, "[data-draft] [name=operator]", "lt");
    change(&browser, "[data-draft] [name=value]", "1990-01-01");
    until_applied(&browser);
    assert!(browser.address().contains("birthts__lt=631152000000"), "{}", browser.address());
    let expected = server.json("/data?birthts__lt=631152000000&limit=50");
    assert_eq!(
        json!(browser.attributes("data-user-id")),
        json!(super::harness::user_ids(&expected))
    );
    let chip = browser.text("#active-filters a");
    assert!(chip.contains("Born is before 1990-01-01"), "{chip}");
    browser.click("#active-filters a");
    browser.until("no filter", || {
        (browser.count("#active-filters a[href*=birthts]") == 0 && browser.count("#active-filters") == 0).then_some(())
    });
    browser.check_quiet("chips");
}

#[test]
fn search_box_finds_users_from_every_page() {
    let server = lakes::samples();
    for browser in [Browser::open(&server), Browser::without_scripts(&server)] {
        for path in ["/", "/page/rejects", "/page/users/1000"] {
            browser.go(path);
            browser.fill("#search", "su");
            browser.press(fantoccini::key::Key::Enter);
            browser.until("the users", || (browser.address() == "/page/users?q=su").then_some(()));
            let expected = server.json("/data?q=su");
            assert_eq!(
                json!(browser.attributes("data-user-id")),
                json!(super::harness::user_ids(&expected)),
                "{path}"
            );
        }
    }
    let browser = Browser::open(&server);
    browser.go("/page/runs");
    browser.run("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true })); return null");
    assert_eq!(browser.run("return document.activeElement.id"), "search");
}
