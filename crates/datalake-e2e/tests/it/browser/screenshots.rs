//! The screenshots of the README. `DATALAKE_SCREENSHOTS=docs/screenshots cargo test … browser::screenshots` writes them.

use std::{fs, path::PathBuf};

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
};

/// The folder of the screenshots, relative to the workspace; none without the variable.
#[expect(clippy::disallowed_methods, reason = "the environment names the folder")]
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("DATALAKE_SCREENSHOTS")?;
    Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(named))
}

/// Images are loaded when they come into view.
const VISIBLE_IMAGES_ARE_LOADED: &str = "
    const isVisible = image => { const box = image.getBoundingClientRect(); return box.bottom > 0 && box.top < innerHeight; };
    return [...document.images].filter(isVisible).every(image => image.complete && image.naturalWidth > 0)";

#[test]
fn views_have_screenshots() {
    let scratch = tempfile::TempDir::new().unwrap();
    let folder = folder().unwrap_or_else(|| scratch.path().to_owned());
    fs::create_dir_all(&folder).unwrap();
    let server = lakes::edited_on_schedule();
    let run_id = server.json("/runs?limit=1")["runs"][0]["id"].as_str().unwrap().to_owned();
    let browser = Browser::open(&server);
    let views = [
        ("overview", "/".to_owned()),
        ("users", format!("/page/users?min_age=30&order=age.desc&on={}", lakes::ON)),
        ("gallery", format!("/page/users?view=gallery&on={}", lakes::ON)),
        ("user", format!("/page/users/1000?on={}", lakes::ON)),
        ("run", format!("/page/runs/{run_id}")),
        ("rejects", "/page/rejects".to_owned()),
    ];
    for (variant, scheme, size) in [
        ("light", Scheme::Light, Size::DESK),
        ("dark", Scheme::Dark, Size::DESK),
        ("phone", Scheme::Light, Size::PHONE),
    ] {
        browser.emulate(scheme, size);
        for (name, path) in &views {
            browser.go(path);
            browser.until_run("the visible images", VISIBLE_IMAGES_ARE_LOADED);
            let path = folder.join(format!("{name}-{variant}.png"));
            browser.screenshot(&path);
            let screenshot = fs::read(&path).unwrap();
            assert!(screenshot.starts_with(b"\x89PNG"), "{}", path.display());
            let side = |at: usize| u32::from_be_bytes(screenshot[at..at + 4].try_into().unwrap());
            assert_eq!((side(16), side(20)), (size.width, size.height), "{}", path.display());
        }
    }
}
