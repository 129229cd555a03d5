//! One person: the row, the picture, what it was before, and where each value came from.

use serde_json::{Value, json};

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
            "return [...document.querySelectorAll('main [data-column={column}]')].map(element => element.dataset.birthts ?? element.dataset.age ?? element.textContent.trim())"
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
        assert_eq!(pictures, json!(expected), "{user_id}");
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
    let shown = browser.run("return [...document.querySelectorAll('#history [data-version]')].map(state => [state.dataset.version, state.dataset.change ?? null, state.textContent])");
    let shown = shown.as_array().unwrap();
    assert_eq!(shown.len(), states.len());
    for (state, shown) in states.iter().zip(shown) {
        assert_eq!(
            (&shown[0], &shown[1]),
            (&json!(state["version"].to_string()), &state["change"]),
            "{state}"
        );
        let text = shown[2].as_str().unwrap();
        for told in [&state["row"]["first_name"], &state["row"]["last_name"], &state["run_id"]] {
            assert!(text.contains(told.as_str().unwrap()), "{told}: {text}");
        }
    }
    // One who is gone has a history all the same.
    browser.go("/page/people/1001");
    assert_eq!(browser.status(), 404);
    let change = browser.run("return document.querySelector('#history [data-version]').dataset.change");
    assert_eq!(change, "delete");
}

/// Where the values came from, as /explain says; and what is refused of this person now.
#[test]
fn a_person_shows_where_the_values_came_from() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/people/1000");
    let explained = server.json("/data/1000/explain");
    let text = browser.text("#explanation");
    for source in ["src-data/1000.csv", "src-data/1000.png"] {
        assert!(explained.to_string().contains(source) && text.contains(source), "{source}: {text}");
    }
    browser.go("/page/people/1002");
    let main = browser.text("main");
    assert!(
        main.contains("type") || browser.attributes("data-code").contains(&"type".to_owned()),
        "{main}"
    );
}
