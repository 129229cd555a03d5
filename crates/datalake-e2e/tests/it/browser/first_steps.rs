//! A new lake, from the first visit to the first user.

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
};

#[test]
fn empty_lake_shows_the_first_steps_until_there_is_a_user() {
    let server = lakes::empty_with_runs();
    let browser = Browser::open(&server);
    browser.emulate(Scheme::Light, Size::DESK);
    // The server's own first run finds no sources.
    browser.until("the first run", || {
        browser.go("/page/runs");
        (browser.count("#runs [data-state=waiting]") >= 1).then_some(())
    });
    assert_eq!(browser.count("[data-error], .badge.warning"), 0, "waiting is no failure");
    browser.go("/");
    assert_eq!(browser.attributes("data-banner"), ["no-sources"]);
    assert_eq!(browser.count("#first-steps li"), 2);
    let text = browser.text("#first-steps");
    assert!(text.contains("lake/src-data/"), "the folder is named: {text}");
    assert!(text.contains("datalake init --lake lake --samples"), "{text}");
    assert_eq!(browser.count("main svg, .statistics"), 0, "there is nothing to show");

    browser.mark();
    lakes::write(&server, "1.csv", lakes::source("Ada", "Lovelace", "612302400000"));
    browser.click("#start-run button[data-start]");
    browser.until("the user", || {
        let users = browser.run("return document.querySelector('#users dd')?.textContent ?? ''");
        (users == "1").then_some(())
    });
    assert_eq!(browser.count("#first-steps"), 0);
    browser.check_not_reloaded();
}
