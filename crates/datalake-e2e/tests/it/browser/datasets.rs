//! The pages of a dataset other than the users: the orders of `examples/orders`.

use std::{path::Path, process::Command};

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
