//! The pages of a dataset other than the users: the orders of `examples/orders`.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;

use super::{
    axe,
    harness::{Browser, Scheme, Size},
    views,
};
use crate::server::{Server, executable};

const PATHS: [&str; 7] = [
    "/",
    "/page/users",
    "/page/users?state=paid&min_total",
    "/page/users?min_ordered=x",
    "/page/users/A-1002",
    "/page/runs",
    "/page/versions",
];

/// A server for the orders.
fn orders() -> Server {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/orders");
    let folder = TempDir::new().unwrap();
    let status = Command::new(executable())
        .args(["init", "--lake", "lake", "--dataset"])
        .arg(example.join("dataset.toml"))
        .arg("--from")
        .arg(example.join("src-data"))
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let server = Server::start(folder, &["serve", "--lake", "lake"]);
    assert_eq!(server.json("/stats")["count"], 4);
    server
}

#[test]
fn pages_are_accessible() {
    axe::check(&Browser::open(&orders()), &PATHS.map(str::to_owned));
}

#[test]
fn no_page_is_wider_than_its_window() {
    let server = orders();
    let browser = Browser::open(&server);
    for width in [360, 390, 800, 1024, 1220, 1440] {
        let size = Size { width, height: 800 };
        browser.emulate(Scheme::Light, size);
        for path in PATHS {
            browser.go(path);
            let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth").as_i64();
            assert!(
                overflow.is_some_and(|overflow| overflow <= 0),
                "{path} at {width}: {}",
                views::widest(&browser, size)
            );
        }
        browser.go("/");
        assert!(views::statistics_are_full(&browser), "{width}");
    }
}

#[test]
fn choices_and_ranges_apply_on_change() {
    let server = orders();
    let browser = Browser::open(&server);
    browser.go("/page/users");
    let change = |field: &str, value: &str| {
        browser.run(&format!(
            "const field = document.querySelector('{field}');
             field.value = '{value}';
             field.dispatchEvent(new Event('change', {{ bubbles: true }}))"
        ));
    };
    let shown = || browser.run("return [...document.querySelectorAll('#user-list [data-user-id]')].map(row => row.dataset.userId)");
    change("[name=state__exact]", "sent");
    browser.until("the filter", || browser.address().contains("state=sent").then_some(()));
    browser.until("the rows", || (shown() == json!(["A-1002", "A-1004"])).then_some(()));
    change("[name=total_mode]", "highest");
    browser.until("the range", || browser.address().contains("max_total").then_some(()));
    browser.until("the row", || (shown() == json!(["A-1002"])).then_some(()));
    browser.check_quiet("/page/users");
}

/// The declaration of [`measurements`]: a long title, and more columns than fit.
const MEASUREMENTS: &str = "title = 'Plant measurements'\nentity = 'plant'\nsource.key = 'src-data/{plant_id}.csv'\n[columns]\n\
    species = 'string'\nsite = { type = 'string', title = 'Place of growth' }\nmeasured = 'date'\nsensor_time = 'datetime'\n\
    height = { type = 'number', title = 'Height (mm)' }\nph = { type = 'number', title = 'pH' }\nleaves = 'integer'\n\
    note = { type = 'string', required = false }\ngardener = { type = 'string', required = false }\n\
    [derived]\nmeasured_year = 'year(measured)'\nspecies_length = 'length(species)'\nsite_length = 'length(site)'\n";

/// A server for measurements of plants, one of which is rejected.
fn measurements() -> Server {
    let folder = TempDir::new().unwrap();
    let lake = folder.path().join("lake");
    fs::create_dir_all(lake.join("src-data")).unwrap();
    fs::write(lake.join("dataset.toml"), MEASUREMENTS).unwrap();
    let header = "species,site,measured,sensor_time,height,ph,leaves,note,gardener";
    for number in 10..40 {
        let mut row = format!(
            "{header}\nGänseblümchenwiese,Gewächshaus am Waldrand,2026-05-{:02},",
            number % 28 + 1
        );
        let tenths = number * 3;
        write!(
            row,
            "2026-09-19T06:30:00Z,{tenths}.5,{}.{},{number},,",
            4 + number / 10,
            number % 10
        )
        .unwrap();
        fs::write(lake.join(format!("src-data/P-0{number}.csv")), row + "Ada Lovelace\n").unwrap();
    }
    let unbroken = format!("{header}\nEiche,{},2026-05-01,2026-09-19T06:30:00Z,9,7,1,,\n", "W".repeat(900));
    fs::write(lake.join("src-data/P-999.csv"), unbroken).unwrap();
    fs::write(lake.join("src-data/P-bad.csv"), "species\n").unwrap();
    let server = Server::start(folder, &["serve", "--lake", "lake", "--max-reject-ratio", "1"]);
    assert_eq!(server.json("/stats")["count"], 31);
    server
}

#[test]
fn words_stay_whole_and_a_wide_table_shows_that_it_scrolls() {
    let server = measurements();
    let browser = Browser::open(&server);
    for width in [800, 1280] {
        browser.emulate(Scheme::Light, Size { width, height: 800 });
        browser.go("/page/users?limit=50");
        let broken = browser.run(
            "const broken = [];
             for (const text of [...document.querySelectorAll('#user-list bdi')].map(cell => cell.firstChild)) {
               for (const word of text.data.matchAll(/\\S{1,40}(?!\\S)/g)) {
                 const range = document.createRange();
                 range.setStart(text, word.index);
                 range.setEnd(text, word.index + word[0].length);
                 if (!/W{9}/.test(word[0]) && range.getClientRects().length > 1) broken.push(word[0]);
               }
             }
             return broken",
        );
        assert_eq!(broken, json!([]), "{width}");
        let scroll = browser.run(
            "const box = document.querySelector('#user-list .scroll');
             return [box.scrollWidth > box.clientWidth, getComputedStyle(box).backgroundAttachment.includes('local')]",
        );
        assert_eq!(scroll, json!([true, true]), "{width}");
        let tallest =
            browser.run("return Math.max(...[...document.querySelectorAll('main tr')].map(row => row.getBoundingClientRect().height))");
        assert!(tallest.as_f64().is_some_and(|height| height <= 120.0), "{width}: {tallest}");
    }
}

#[test]
fn long_title_leaves_the_menu_on_one_line() {
    let server = measurements();
    let browser = Browser::open(&server);
    for width in [360, 390, 800] {
        browser.emulate(Scheme::Light, Size { width, height: 800 });
        browser.go("/page/users");
        let menu = browser.run(
            "const menu = document.querySelector('.top nav'), count = menu.querySelector('.count');
             return [menu.getBoundingClientRect().height <= 50, [...menu.querySelectorAll('li')].every(entry => entry.getBoundingClientRect().right <= innerWidth), count.checkVisibility()]",
        );
        assert_eq!(menu, json!([true, true, true]), "{width}");
        assert_eq!(browser.run("return document.querySelector('#search').placeholder"), "Search");
        // A choice shows all of its text.
        assert_eq!(
            browser.run("return document.querySelector('#height_mode').selectedOptions[0].text"),
            "Any"
        );
    }
}

#[test]
fn cards_have_a_label_and_a_value_with_a_constant_gap() {
    let server = measurements();
    let browser = Browser::open(&server);
    browser.emulate(Scheme::Light, Size::PHONE);
    for path in ["/page/users", "/page/versions", "/page/users/P-010"] {
        browser.go(path);
        let gaps = browser.run(
            "const cells = [...document.querySelectorAll('table.cards td[data-label]:not(.change, :has(details))')];
             return [...new Set(cells.map(cell => getComputedStyle(cell).display + ' ' + getComputedStyle(cell).columnGap))]",
        );
        assert_eq!(gaps, json!(["flex 8px"]), "{path}");
        let overflow = browser.run("return document.documentElement.scrollWidth - innerWidth").as_i64();
        assert!(overflow.is_some_and(|overflow| overflow <= 0), "{path}: {overflow:?}");
    }
}

#[test]
fn axes_of_charts_have_labels_that_do_not_overlap() {
    let server = measurements();
    let browser = Browser::open(&server);
    for width in [360, 390, 800, 1024, 1440] {
        browser.emulate(Scheme::Light, Size { width, height: 800 });
        browser.go("/");
        let labels = browser.run(
            "return ['chart-height', 'chart-ph', 'chart-leaves'].map(id => {
               const chart = document.querySelector(`[aria-labelledby=${id}] .chart:not(.scale)`);
               const boxes = [...chart.children].filter(child => child.localName === 'text').map(label => label.getBoundingClientRect());
               return boxes.length >= 4 && boxes.every((box, index) => index === 0 || boxes[index - 1].right < box.left);
             })",
        );
        assert_eq!(labels, json!([true, true, true]), "{width}");
    }
}

#[test]
fn no_statistic_is_alone_on_its_line() {
    let server = measurements();
    let browser = Browser::open(&server);
    for width in [700, 800, 1024, 1280, 1440] {
        browser.emulate(Scheme::Light, Size { width, height: 800 });
        browser.go("/");
        let on_last_line = browser.run(
            "const tiles = [...document.querySelectorAll('.statistic')], last = tiles.at(-1).offsetTop;
             return [tiles.length, tiles.filter(tile => tile.offsetTop === last).length > 1]",
        );
        assert_eq!(on_last_line, json!([9, true]), "{width}");
        assert!(views::statistics_are_full(&browser), "{width}");
    }
}
