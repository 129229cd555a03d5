//! The overview: the statistics of `/stats`, bars that link to their users, and banners.

use serde_json::{Value, json};

use super::{harness::Browser, lakes};

#[track_caller]
fn statistic(browser: &Browser, id: &str) -> String {
    browser.text(&format!("#{id} dd"))
}

#[test]
fn statistics_are_those_of_the_api() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/");
    let stats = server.json("/stats");
    for (id, name) in [("users", "count"), ("with-image", "with_image"), ("without-image", "without_image")] {
        assert_eq!(statistic(&browser, id), stats[name].to_string(), "{name}");
    }
    let average = stats["average_age"].as_f64().unwrap();
    assert_eq!(statistic(&browser, "average-age"), format!("{average:.1}"));
    let rejects = server.json("/rejects")["rejects"].clone();
    let is_rejected = |reject: &&Value| reject["kind"] == "rejected";
    assert_eq!(
        statistic(&browser, "rejects-open"),
        rejects.as_array().unwrap().iter().filter(is_rejected).count().to_string()
    );
    assert_eq!(
        browser.run("return document.querySelector('main').dataset.version"),
        stats["version"].to_string()
    );
    let last = server.json("/runs?limit=1")["runs"][0]["id"].clone();
    assert_eq!(browser.run("return document.getElementById('last-run').dataset.runId"), last);
    browser.check_quiet("/");
}

/// The rows of the table of ages: link, and number of users with and without an image.
fn ages(browser: &Browser) -> Vec<(String, usize, usize)> {
    let rows = browser.run(
        "return [...document.querySelectorAll('#chart-age-table tbody tr')].map(row => [
            row.querySelector('a').getAttribute('href'), ...[...row.querySelectorAll('td')].map(cell => Number(cell.textContent.replaceAll(',', '')))])",
    );
    serde_json::from_value(rows).unwrap()
}

#[test]
fn bars_link_to_their_users() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    let ages = ages(&browser);
    let bars = browser
        .run("return [...document.querySelectorAll('section[aria-labelledby=chart-age] svg a')].map(bar => bar.getAttribute('href'))");
    for (href, with_image, without_image) in &ages {
        let rows = server.json(&href.replace("/page/users", "/data"));
        let rows = rows.as_array().unwrap();
        let without = rows.iter().filter(|row| row["img_path"].is_null()).count();
        assert_eq!((rows.len() - without, without), (*with_image, *without_image), "{href}");
        assert!(bars.as_array().unwrap().contains(&json!(href)), "{href} is a bar of {bars}");
    }
    assert_eq!(
        ages.iter()
            .map(|(_, with_image, without_image)| with_image + without_image)
            .sum::<usize>(),
        100
    );

    let (href, ..) = ages
        .iter()
        .max_by_key(|(_, with_image, without_image)| with_image + without_image)
        .unwrap();
    browser.click(&format!("svg a[href='{href}']"));
    browser.until("the users", || (browser.address() == *href).then_some(()));
    let rows = server.json(&href.replace("/page/users", "/data"));
    let ids: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["user_id"].as_str().unwrap())
        .collect();
    assert_eq!(json!(browser.attributes("data-user-id")), json!(ids), "{href}");
}

#[test]
fn trends_and_changes_have_tooltips_and_downloads() {
    let server = lakes::edited();
    let browser = Browser::open(&server);
    browser.go("/");
    assert_eq!(browser.count(".trend"), 3);
    for mark in ["#trend-users [data-mark]", "section[aria-labelledby=changes] [data-mark]"] {
        browser.run(&format!(
            "document.querySelector('{mark}').dispatchEvent(new PointerEvent('pointerover', {{ bubbles: true, pointerType: 'mouse' }}))"
        ));
        let tip = browser.run("const tip = document.querySelector('.tooltip'); return tip.checkVisibility() ? tip.textContent : ''");
        assert!(tip.as_str().is_some_and(|tip| tip.contains("UTC")), "{mark}: {tip}");
    }
    // The browser does not follow the link of the download; the script creates it.
    browser.run("HTMLAnchorElement.prototype.click = function () { window.saved = this.download; }; return null");
    browser.run("URL.createObjectURL = blob => { blob.text().then(text => { window.content = text; }); return ''; }; return null");
    for (format, file) in [("csv", "changes.csv"), ("svg", "changes.svg")] {
        browser.click(&format!("section[aria-labelledby=changes] [data-download={format}]"));
        browser.until(file, || (browser.run("return window.saved ?? null") == file).then_some(()));
    }
    // The image has the title, the legend, the unit and the scale of the chart.
    browser.until_run("the image", "return window.content?.startsWith('<svg') ?? false");
    let image = browser.run("return new DOMParser().parseFromString(window.content, 'image/svg+xml').documentElement.textContent");
    let image = image.as_str().unwrap();
    for text in ["Changes by recent runs", "newly rejected", "added", "removed"] {
        assert!(image.contains(text), "{text}: {image}");
    }
}

#[test]
fn failed_run_has_a_banner() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    browser.go("/");
    assert_eq!(browser.count("[data-banner]"), 0, "no banner");
    for entry in std::fs::read_dir(lakes::sources(&server)).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let run: Value = lakes::run(&server);
    assert_eq!(run["state"], "blocked", "{run}");
    browser.until_run("the banner", "return document.querySelector('[data-banner]') !== null");
    let id = run["id"].as_str().unwrap();
    assert_eq!(
        browser.count(&format!("[data-banner] a[href='/page/runs/{id}']")),
        1,
        "the banner links to the run"
    );
    browser.go("/");
    assert_eq!(browser.count("[data-banner]"), 1);
    browser.check_quiet("a banner");
}
