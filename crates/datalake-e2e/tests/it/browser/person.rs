//! One person: the row, the picture, what it was before, and where each value came from.

use serde_json::Value;

use super::{harness::Browser, lakes};

#[track_caller]
fn check(browser: &Browser, row: &Value) {
    let user_id = row["user_id"].as_str().unwrap();
    for column in ["user_id", "first_name", "last_name", "birthts", "age"] {
        let expected = match &row[column] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let shown = browser.run(&format!(
            "return [...document.querySelectorAll('main [data-column={column}]')].map(element => element.dataset.value ?? element.textContent.trim())"
        ));
        let is_shown = shown.as_array().unwrap().iter().any(|shown| *shown == *expected);
        assert!(is_shown, "{user_id}: {column} is {expected}, not {shown}");
    }
}

#[test]
fn a_person_is_the_row_of_the_api() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for user_id in ["1000", "1005", "1070", "2000"] {
        browser.go(&format!("/page/people/{user_id}?on=2026-11-24"));
        let row = server.json(&format!("/data/{user_id}?on=2026-11-24"));
        check(&browser, &row);
        let pictures =
            browser.run("return [...document.querySelectorAll('main img')].map(picture => picture.getAttribute('src').split('?')[0])");
        let expected = if row["img_path"].is_null() {
            Vec::new()
        } else {
            vec![format!("/data/{user_id}/image")]
        };
        assert_eq!(pictures, serde_json::json!(expected), "{user_id}");
        browser.check_quiet(user_id);
    }
}

/// Each state, and the run that made it so.
#[test]
fn a_person_shows_what_the_row_was() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/people/1000");
    let history = server.json("/data/1000/history");
    let states = history["states"].as_array().unwrap_or_else(|| panic!("{history}"));
    assert_eq!(states.len(), 2);
    let versions: Vec<_> = states.iter().map(|state| state["version"].to_string()).collect();
    let shown = browser.run("return [...document.querySelectorAll('#history [data-version]')].map(state => state.dataset.version)");
    assert_eq!(shown, serde_json::json!(versions));
    let text = browser.text("#history");
    assert!(text.contains("Susanna") && text.contains("Susan"), "both names: {text}");
}

/// Where the values came from, as /explain says; and what is refused of this person now.
#[test]
fn a_person_shows_where_the_values_came_from() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/people/1000");
    let explained = server.json("/data/1000/explain");
    let text = browser.text("#explain");
    for source in ["src-data/1000.csv", "src-data/1000.png"] {
        assert!(explained.to_string().contains(source) && text.contains(source), "{source}: {text}");
    }
    browser.go("/page/people/1002");
    let main = browser.text("main");
    assert!(
        main.contains("birthts_type") || browser.attributes("data-code").contains(&"birthts_type".to_owned()),
        "{main}"
    );
}
