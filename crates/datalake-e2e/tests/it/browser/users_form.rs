//! The form of filters: its values become the query string, with and without JavaScript, and stay in the form.

use serde_json::{Value, json};

use super::{harness::Browser, lakes};

/// Values of the form, by selector, and the equivalent query.
const CASES: &[(&[(&str, &str)], &str)] = &[
    (&[("[name=is_image_exists]", "False")], "is_image_exists=False"),
    (&[("[name=min_age]", "30"), ("[name=max_age]", "35")], "min_age=30&max_age=35"),
    (&[("[name=youngest]", "")], "min_age"),
    (
        &[("[name=oldest]", ""), ("[name=is_image_exists]", "True")],
        "max_age&is_image_exists=True",
    ),
    (&[("[name=min_age]", "30"), ("[name=on]", "2020-01-01")], "min_age=30&on=2020-01-01"),
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
        &[("[name=as_of]", "2100-01-01"), ("[name=min_age]", "40")],
        "as_of=2100-01-01&min_age=40",
    ),
];

/// Sets the controls and submits the form.
fn send(browser: &Browser, controls: &[(&str, &str)]) {
    for (selector, value) in controls {
        browser.run(&format!(
            "const control = document.querySelector('#people-filters ' + {}), value = {};
             if (control.type === 'checkbox') control.checked = true; else control.value = value;
             return control.value === value || control.checked",
            json!(selector),
            json!(value)
        ));
    }
    browser.click("#people-filters button:not([type=button])");
    browser.wait_until("the result", || browser.address().contains('?').then_some(()));
}

fn check(server: &crate::server::Server, browser: &Browser) {
    for (controls, expected_query) in CASES {
        browser.go_to("/page/people");
        send(browser, controls);
        let address = browser.address();
        let (path, query) = address.split_once('?').unwrap();
        assert_eq!(path, "/page/people", "{expected_query}");
        let limit = if expected_query.contains("limit") { "" } else { "&limit=50" };
        let expected = server.json(&format!("/data?{expected_query}{limit}"));
        // The query string in the address is a query of the API, and an equivalent one.
        assert_eq!(
            server.json(&format!("/data?{query}{}", if query.contains("limit=") { "" } else { "&limit=50" })),
            expected,
            "{address}"
        );
        let ids: Vec<_> = expected.as_array().unwrap().iter().map(|row| row["user_id"].clone()).collect();
        assert_eq!(json!(browser.attributes("data-user-id")), json!(ids), "{address}");
        for (selector, value) in *controls {
            let kept = browser.run(&format!(
                "const control = document.querySelector('#people-filters ' + {}); return control.type === 'checkbox' ? (control.checked ? '' : null) : control.value",
                json!(selector)
            ));
            assert_eq!(kept, Value::from(*value), "{selector} after {address}");
        }
    }
}

#[test]
fn form_sends_its_values() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    check(&server, &browser);
    browser.check_console_and_requests("the form");
}

#[test]
fn form_works_without_javascript() {
    let server = lakes::edited();
    check(&server, &Browser::without_scripts(&server));
}

/// Changing filters keeps the view, and changing the view keeps the filters.
#[test]
fn gallery_keeps_the_filters() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go_to("/page/people?min_age=40");
    let ids = browser.attributes("data-user-id");
    browser.click("a[data-look=gallery]");
    browser.wait_until("the gallery", || browser.address().contains("view=gallery").then_some(()));
    assert_eq!(browser.attributes("data-user-id"), ids);
    send(&browser, &[("[name=is_image_exists]", "True")]);
    browser.wait_until("the filter", || browser.address().contains("is_image_exists=True").then_some(()));
    assert!(browser.address().contains("view=gallery"), "{}", browser.address());
}
