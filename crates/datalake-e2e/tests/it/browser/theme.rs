//! The theme: the system's, light or dark.

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
};

fn ground(browser: &Browser) -> String {
    browser
        .run("return getComputedStyle(document.body).backgroundColor")
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn chosen_theme_overrides_that_of_the_system() {
    let server = lakes::samples();
    let browser = Browser::open(&server);
    let mut colors = Vec::new();
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.emulate(scheme, Size::DESK);
        browser.go("/page/runs?limit=5");
        colors.push(ground(&browser));
    }
    let [light, dark] = colors.as_slice() else { panic!("{colors:?}") };
    assert_ne!(light, dark);
    for (theme, expected) in [("light", light), ("dark", dark), ("system", dark)] {
        browser.click(&format!("#theme button[value={theme}]"));
        browser.until(theme, || (ground(&browser) == *expected).then_some(()));
        assert_eq!(browser.address(), "/page/runs?limit=5", "the page is the same");
        browser.go("/page/users");
        assert_eq!(ground(&browser), *expected, "other pages have the theme {theme} as well");
        browser.go("/page/runs?limit=5");
    }
    assert_eq!(browser.cookies(), [""; 0], "the system's theme needs no cookie");
    browser.check_quiet("a theme");
}

#[test]
fn theme_works_without_javascript() {
    let server = lakes::samples();
    let browser = Browser::without_scripts(&server);
    browser.emulate(Scheme::Light, Size::DESK);
    browser.go("/");
    let light = ground(&browser);
    browser.click("#theme button[value=dark]");
    browser.until("the dark theme", || (ground(&browser) != light).then_some(()));
    assert_eq!(browser.cookies(), ["datalake_theme"]);
}
