//! The filter form: the address contains the selected filters, with and without JavaScript, and the form keeps them.

use serde_json::{Value, json};

use super::{harness::Browser, lakes};

/// The values of controls by their selectors, and the query that they mean.
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
fn submit(browser: &Browser, controls: &[(&str, &str)]) {
    for (selector, value) in controls {
        browser.run(&format!(
            "const control = document.querySelector('#user-filters ' + {}), value = {};
             if (control.type === 'checkbox') control.checked = true; else control.value = value;
             return control.value === value || control.checked",
            json!(selector),
            json!(value)
        ));
    }
    browser.click("#user-filters button:not([type=button])");
    browser.until("the response", || browser.address().contains('?').then_some(()));
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
                "const control = document.querySelector('#user-filters ' + {}); return control.type === 'checkbox' ? (control.checked ? '' : null) : control.value",
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
