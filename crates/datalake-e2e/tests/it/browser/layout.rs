//! The layout of every view at the widths of phones, tablets and desktops, with long names and IDs.

use serde_json::json;

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
    views::{self, View},
};

/// The widths, in CSS pixels: small and common phones, a tablet, small and large desktops. From 1,216 pixels on, headers of long tables are sticky.
const WIDTHS: [u32; 6] = [360, 390, 800, 1024, 1220, 1440];

/// A row that is taller has text that is broken into single characters or into many lines.
const ROW_HEIGHT_MAX: u32 = 120;

/// A menu that is taller has more than one line.
const MENU_HEIGHT_MAX: f64 = 50.0;

#[test]
fn no_row_is_tall_and_no_view_is_wider_than_its_window() {
    let server = lakes::crowded();
    let browser = Browser::open(&server);
    let long_run = format!("/page/runs/{}", lakes::long_run_id());
    let paths = views::views(&server).into_iter().map(|View { path, .. }| path);
    let others = [
        &long_run,
        "/page/users/long",
        "/page/users?view=gallery&limit=50",
        "/page/runs?state=blocked",
    ];
    let paths = paths.chain(others.map(str::to_owned)).chain(views::PROBLEMS.map(str::to_owned));
    let mut found = Vec::new();
    for path in paths.collect::<Vec<_>>() {
        browser.go(&path);
        browser.run("for (const part of document.querySelectorAll('main details:not(td details, th details)')) part.open = true");
        for width in WIDTHS {
            browser.emulate(Scheme::Light, Size { width, height: 800 });
            let overflow = browser
                .run("return document.documentElement.scrollWidth - innerWidth")
                .as_i64()
                .unwrap();
            if overflow > 0 {
                found.push(format!("{path} at {width}: {overflow} pixels too wide"));
            }
            let menu = browser.run("return document.querySelector('.top nav')?.getBoundingClientRect().height ?? 0");
            if menu.as_f64().is_some_and(|height| height > MENU_HEIGHT_MAX) {
                found.push(format!("{path} at {width}: the menu has {menu} pixels"));
            }
            let tall = browser.run(&format!(
                "return [...document.querySelectorAll('main tr')].filter(row => row.getBoundingClientRect().height > {ROW_HEIGHT_MAX})
                    .map(row => `${{Math.round(row.getBoundingClientRect().height)}} pixels: ${{row.innerText.slice(0, 60)}}`).slice(0, 3)"
            ));
            if tall != json!([]) {
                found.push(format!("{path} at {width}: {tall}"));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn statistics_leave_no_empty_cells() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    for width in [360, 700, 800, 1000, 1440] {
        browser.emulate(Scheme::Light, Size { width, height: 800 });
        browser.go("/");
        assert!(views::statistics_are_full(&browser), "{width}");
    }
}

/// A printed table starts on the page of its heading; its form is not printed.
#[test]
fn printed_users_start_on_the_first_page() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    browser.print_media();
    assert_eq!(
        browser.run("return [...document.querySelectorAll('form')].filter(form => form.checkVisibility()).map(form => form.id)"),
        json!([])
    );
    let rules = browser.run(
        "const table = document.querySelector('#user-list table'), card = table.closest('.card') ?? table;
         return [getComputedStyle(card).breakInside, getComputedStyle(table.tHead).display]",
    );
    assert_eq!(rules, json!(["auto", "table-header-group"]));
    let top = browser
        .run("return document.querySelector('#user-list').getBoundingClientRect().top")
        .as_f64();
    assert!(top.is_some_and(|top| top < 400.0), "the table starts at {top:?}");
}

#[test]
fn headers_of_long_tables_stay_visible() {
    let server = lakes::crowded();
    let browser = Browser::open(&server);
    browser.emulate(Scheme::Light, Size { width: 1440, height: 400 });
    for path in ["/page/users", "/page/runs", "/page/versions", "/page/changes?since=0&until=1"] {
        browser.go(path);
        // A box that scrolls to the side would contain the header.
        let styles = browser.run(
            "const table = document.querySelector('main table'), header = getComputedStyle(table.tHead.querySelector('th'));
             return [header.position, getComputedStyle(table.closest('.scroll')).overflowX]",
        );
        assert_eq!(styles, json!(["sticky", "visible"]), "{path}");
    }
}

/// Paper has no form, so the active filters are text.
#[test]
fn printed_users_name_their_filters() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users?min_age=30");
    let is_visible = |selector: &str| browser.run(&format!("return document.querySelector('{selector}').checkVisibility()"));
    assert_eq!(is_visible("#printed-filters"), false);
    browser.print_media();
    assert_eq!((is_visible("#printed-filters"), is_visible(".search")), (json!(true), json!(false)));
}

#[test]
fn phones_show_each_run_as_a_card() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.emulate(Scheme::Light, Size::PHONE);
    browser.go("/page/runs");
    let row = "document.querySelector('#runs tr[data-run-id]')";
    // The counts are visible without scrolling.
    let right = browser.run(&format!(
        "return Math.max(...[...{row}.children].map(cell => cell.getBoundingClientRect().right))"
    ));
    assert!(right.as_f64().is_some_and(|right| right <= 390.0), "{right}");
    let text = browser.run(&format!("return {row}.innerText")).to_string();
    assert!(text.contains("Succeeded"), "{text}");
    let signs = browser.run(&format!(
        "return [...{row}.querySelectorAll('.number')].map(cell => getComputedStyle(cell, '::before').content)"
    ));
    assert!(signs.to_string().contains('+'), "{signs}");
}
