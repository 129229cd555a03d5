//! The page of one user: the row, the image, the history, and the provenance of each value.

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
            "return [...document.querySelectorAll('main [data-column={column}]')].map(element => element.dataset.value ?? element.textContent.trim())"
        ));
        let is_shown = shown.as_array().unwrap().iter().any(|shown| *shown == *expected);
        assert!(is_shown, "{user_id}: {column} is {expected}, not {shown}");
    }
}

#[test]
fn page_shows_the_row_of_the_api() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    for user_id in ["1000", "1005", "1070", "2000"] {
        browser.go(&format!("/page/users/{user_id}?on=2026-11-24"));
        let row = server.json(&format!("/data/{user_id}?on=2026-11-24"));
        check(&browser, &row);
        let images = browser.run("return [...document.querySelectorAll('main img')].map(image => image.getAttribute('src').split('?')[0])");
        let expected = if row["img_path"].is_null() {
            Vec::new()
        } else {
            vec![format!("/data/{user_id}/image")]
        };
        assert_eq!(images, json!(expected), "{user_id}");
        browser.check_quiet(user_id);
    }
}

#[test]
fn history_shows_each_state_with_its_run() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/users/1000");
    let history = server.json("/data/1000/history");
    let states = history["states"].as_array().unwrap_or_else(|| panic!("{history}"));
    assert_eq!(states.len(), 2);
    let shown = browser.run("return [...document.querySelectorAll('#history [data-version]')].map(state => [state.dataset.version, state.dataset.change ?? null, state.textContent, state.querySelector('.run-id').title])");
    let shown = shown.as_array().unwrap();
    assert_eq!(shown.len(), states.len());
    for (state, shown) in states.iter().zip(shown) {
        assert_eq!(
            (&shown[0], &shown[1]),
            (&json!(state["version"].to_string()), &state["change"]),
            "{state}"
        );
        let text = shown[2].as_str().unwrap();
        assert_eq!(shown[3], state["run_id"]);
        for value in [&state["row"]["first_name"], &state["row"]["last_name"]] {
            assert!(text.contains(value.as_str().unwrap()), "{value}: {text}");
        }
    }
    // A removed user has a history, too.
    browser.go("/page/users/1001");
    assert_eq!(browser.status(), 404);
    let change = browser.run("return document.querySelector('#history [data-version]').dataset.change");
    assert_eq!(change, "delete");
}

#[test]
fn provenance_names_the_sources() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/page/users/1000");
    let explained = server.json("/data/1000/explain");
    let text = browser.text("#explanation");
    for source in ["src-data/1000.csv", "src-data/1000.png"] {
        assert!(explained.to_string().contains(source) && text.contains(source), "{source}: {text}");
    }
    browser.go("/page/users/1002");
    let main = browser.text("main");
    assert!(
        main.contains("type") || browser.attributes("data-code").contains(&"type".to_owned()),
        "{main}"
    );
}
