//! The table and gallery of users: `/page/users` shows the same rows as `/data`, in the same order.

use serde_json::Value;

use super::{
    harness::{Browser, user_ids},
    lakes,
};
use crate::server::Server;

const ROWS: &str = "data-user-id";

/// The user IDs in the API's response.
fn api_ids(server: &Server, query: &str) -> Vec<String> {
    let rows = server.json(&format!("/data?{query}"));
    let id = |row: &Value| row["user_id"].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(id).collect()
}

/// The user IDs on all pages, and the number of pages.
fn ids_on_all_pages(browser: &Browser, query: &str) -> (Vec<String>, usize) {
    browser.go(&format!("/page/users?{query}"));
    let (mut ids, mut pages) = (browser.attributes(ROWS), 1);
    loop {
        let next = browser.run("return document.querySelector('main a[rel~=next]')?.getAttribute('href') ?? null");
        let Some(next) = next.as_str() else { return (ids, pages) };
        browser.go(next);
        let shown = browser.attributes(ROWS);
        assert!(!shown.is_empty(), "{next} has rows");
        ids.extend(shown);
        pages += 1;
        assert!(pages <= 200, "the pagination ends");
    }
}

#[test]
fn every_filter_shows_the_rows_of_the_api() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    let queries = [
        "",
        "is_image_exists=True",
        "is_image_exists=false",
        "min_age=30",
        "max_age=30",
        "min_age=30&max_age=40",
        "min_age",
        "max_age",
        "min_age=",
        "min_age&max_age",
        "is_image_exists=False&max_age",
        "min_age=200",
        "min_age=30&on=2020-01-01",
        "max_age&on=1999-12-31",
        "user_id=1000",
        "user_id__startswith=102",
        "user_id__in=1000,1010,unknown",
        "first_name__contains=an",
        "last_name=Lee",
        "last_name__in=Lee,Fox",
        "last_name__not=Lee&min_age=40",
        "last_name__endswith=er&last_name__startswith=M",
        "birthts__gte=1000000000000",
        "birthts__gt=400000000000&birthts__lt=500000000000",
        "img_path__isnull",
        "img_path__notnull&age__lte=25",
        "age=30",
        "age__not=30",
        "order=age.desc,last_name",
        "order=last_name,first_name.desc",
        "order=birthts&is_image_exists=True",
        "version=0",
        "version=0&order=age",
        "as_of=2100-01-01",
        "min_version=1&wait=1s",
        "q=an",
        "q=10&order=age",
        "q=SUSAN%20lee",
    ];
    for query in queries {
        let day = if query.contains("on=") { "" } else { "&on=2026-11-24" };
        let query = format!("{query}{day}");
        let query = query.trim_start_matches('&');
        let expected = api_ids(&server, query);
        let (shown, _) = ids_on_all_pages(&browser, query);
        assert_eq!(shown, expected, "the users of {query}");
        browser.check_quiet(query);
    }
}

#[test]
fn pagination_shows_each_row_of_one_version_once() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    for (query, count) in [
        ("limit=7&order=birthts", 15),
        ("limit=30&order=age.desc,last_name&is_image_exists=True", 4),
        ("limit=33&view=gallery", 4),
        ("limit=50", 2),
    ] {
        let (shown, pages) = ids_on_all_pages(&browser, query);
        let order = query.split_once('&').map_or("", |(_, rest)| rest).trim_end_matches("view=gallery");
        assert_eq!(shown, api_ids(&server, order), "{query}");
        assert_eq!(pages, count, "{query}");
    }
    // A version that is published during the pagination is not mixed in.
    browser.go("/page/users?limit=50");
    let first = browser.attributes(ROWS);
    let next = browser.run("return document.querySelector('main a[rel~=next]').getAttribute('href')");
    lakes::write(&server, "0001.csv", lakes::source("Ada", "Lovelace", "0"));
    lakes::run(&server);
    browser.go(next.as_str().unwrap());
    let second = browser.attributes(ROWS);
    assert_eq!([first, second].concat(), api_ids(&server, "version=0"));
}

#[test]
fn gallery_shows_the_images_of_the_users() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    for query in ["is_image_exists=False", "min_age=40&on=2026-11-24", "last_name__startswith=mil"] {
        let query = format!("{query}&view=gallery");
        let rows = server.json(&format!("/data?{}", query.trim_end_matches("&view=gallery")));
        browser.go(&format!("/page/users?{query}"));
        assert_eq!(
            browser.attributes(ROWS),
            api_ids(&server, query.trim_end_matches("&view=gallery")),
            "{query}"
        );
        // Images outside of the window are loaded lazily.
        browser.run("for (const image of document.querySelectorAll('main img')) image.loading = 'eager'");
        browser.until_run(
            "the images",
            "return [...document.querySelectorAll('main img')].every(image => image.complete && image.naturalWidth > 0)",
        );
        let shown = browser.run("return [...document.querySelectorAll('[data-user-id]')].filter(one => one.querySelector('img')).length");
        let with_image = rows.as_array().unwrap().iter().filter(|row| !row["img_path"].is_null()).count();
        assert_eq!(shown, with_image, "{query}");
        browser.check_quiet(&query);
    }
}

#[test]
fn invalid_parameters_have_the_status_of_the_api() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    for query in [
        "minage=30",
        "min_age=young",
        "min_age=-1",
        "min_age=1&min_age=2",
        "is_image_exists=perhaps",
        "on=yesterday",
        "limit=0",
        "limit=10001",
        "order=height",
        "last_name__like=x",
        "cursor=zzz",
        "version=99",
        "as_of=1999-01-01",
        "min_version=99",
    ] {
        let status = server.shell(&format!("curl -s -o api -w '%{{http_code}}' 'http://localhost:8080/data?{query}'"));
        let status: u64 = String::from_utf8(status.stdout).unwrap().parse().unwrap();
        assert!((400..500).contains(&status), "{query}: {status}");
        browser.go(&format!("/page/users?{query}"));
        let shown = browser.status();
        assert_eq!(shown, status, "{query}");
        let document: Value = serde_json::from_slice(&std::fs::read(server.folder.path().join("api")).unwrap()).unwrap();
        let kind = document["type"].as_str().unwrap();
        assert_eq!(
            browser.count(&format!("[data-problem='{kind}']")),
            1,
            "{query} is {kind}: {}",
            browser.text("main")
        );
    }
}

#[test]
fn invalid_filter_is_kept_and_can_be_corrected() {
    let server = lakes::samples();
    for browser in [Browser::open(&server), Browser::without_scripts(&server)] {
        browser.go("/page/users?is_image_exists=True&min_age=-4&first_name__contains=an&order=age.desc");
        assert_eq!(browser.status(), 400);
        let value = |selector: &str| browser.run(&format!("return document.querySelector('#user-filters [name={selector}]').value"));
        for (name, typed) in [
            ("is_image_exists", "True"),
            ("min_age", "-4"),
            ("column", "first_name"),
            ("operator", "contains"),
            ("value", "an"),
            ("order_by", "age"),
            ("direction", "desc"),
        ] {
            assert_eq!(value(name), typed, "{name}");
        }
        // The error is next to its field, and screen readers find it.
        let described = browser.run(
            "const field = document.querySelector('[aria-invalid=true]');
             const hint = document.getElementById(field.getAttribute('aria-describedby'));
             return [field.name, field.closest('.field').contains(hint) && hint.checkVisibility() && hint.textContent.length > 10]",
        );
        assert_eq!(described, serde_json::json!(["min_age", true]));
        browser.run("document.getElementById('min_age').value = '30'");
        browser.click("#user-filters button[type=submit]");
        browser.until("the response", || {
            (browser.address().contains("min_age=30") && browser.count("#problem") == 0).then_some(())
        });
        let query = "is_image_exists=True&min_age=30&first_name__contains=an&order=age.desc";
        assert_eq!(browser.attributes(ROWS), api_ids(&server, query));
    }
}

#[test]
fn api_address_and_downloads_return_the_shown_rows() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    let query = "is_image_exists=True&min_age=40&order=age.desc&on=2026-11-24";
    browser.go(&format!("/page/users?{query}"));
    let shown = browser.attributes(ROWS);
    assert!(!shown.is_empty());
    let api = browser.run("return document.querySelector('[data-api]').dataset.api");
    let rows = server.json(api.as_str().unwrap());
    let ids = user_ids(&rows);
    assert_eq!(ids, shown, "{api}");
    for format in ["json", "ndjson", "csv", "parquet", "arrow"] {
        let href = browser.run(&format!(
            "return document.querySelector('#downloads a[data-format={format}]').getAttribute('href')"
        ));
        let href = href.as_str().unwrap();
        let output = server.shell(&format!("curl -sf -o download 'http://localhost:8080{href}'"));
        assert!(output.status.success(), "{href}");
        let download = std::fs::read(server.folder.path().join("download")).unwrap();
        match format {
            "csv" => {
                let text = String::from_utf8(download).unwrap();
                let ids: Vec<_> = text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
                assert_eq!(ids, shown, "{href}");
            }
            "ndjson" => assert_eq!(
                download.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(),
                shown.len(),
                "{href}"
            ),
            "json" => assert_eq!(
                serde_json::from_slice::<Value>(&download).unwrap().as_array().unwrap().len(),
                shown.len(),
                "{href}"
            ),
            "parquet" => assert!(download.starts_with(b"PAR1"), "{href}"),
            _ => assert!(!download.is_empty(), "{href}"),
        }
    }
}

#[test]
fn header_of_the_table_stays_visible_and_has_large_targets() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.emulate(super::harness::Scheme::Light, super::harness::Size::DESK);
    browser.go("/page/users");
    let heights = browser.run("return [...document.querySelectorAll('thead a')].map(link => link.getBoundingClientRect().height)");
    assert!(
        heights.as_array().unwrap().iter().all(|height| height.as_f64() >= Some(32.0)),
        "{heights}"
    );
    browser.run("scrollTo(0, 900); return null");
    let top = browser.run("return document.querySelector('thead th').getBoundingClientRect().top");
    assert_eq!(top.as_f64(), Some(0.0), "the header is at the top of the window");
    // The whole row is a link to its user.
    browser.run("scrollTo(0, 0); return null");
    let target = browser.run(
        "const cell = document.querySelector('[data-user-id=\"1000\"] td:last-child').getBoundingClientRect();
         return document.elementFromPoint(cell.left + 2, cell.top + 2).closest('a')?.getAttribute('href') ?? null",
    );
    assert_eq!(target, "/page/users/1000");
}

#[test]
fn previous_page_shows_the_rows_before() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/page/users?limit=10&order=age");
    let mut pages = vec![browser.attributes(ROWS)];
    for _ in 0..3 {
        browser.click("#next-page");
        let last = pages.last().cloned();
        let rows = browser.until("the next page", || {
            Some(browser.attributes(ROWS)).filter(|rows| Some(rows) != last.as_ref())
        });
        pages.push(rows);
    }
    for expected in pages.iter().rev().skip(1) {
        browser.click("#previous-page");
        browser.until("the previous page", || (browser.attributes(ROWS) == *expected).then_some(()));
    }
    assert_eq!(browser.count("#previous-page"), 0);
}

#[test]
fn broken_image_is_replaced_by_a_silhouette() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    std::fs::remove_dir_all(server.folder.path().join("lake/processed_data/images")).unwrap();
    browser.go("/page/users/1000");
    browser.until_run(
        "the mark",
        "return document.querySelector('.placeholder > img[data-broken]') !== null",
    );
    let size = browser.run("const box = document.querySelector('.placeholder').getBoundingClientRect(); return [box.width, box.height]");
    assert_eq!(size, serde_json::json!([224, 224]));
    browser.go("/page/users");
    let text = browser.run("return document.querySelector('[data-user-id=\"1000\"] .image').innerText");
    assert_eq!(text, "", "no alternative text is cut off");
}
