//! The screenshots of the README: `DATALAKE_SCREENSHOTS=docs/screenshots cargo test … browser::screenshots` updates them.

use std::{fs, path::PathBuf};

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
};

/// The folder of the workspace for the screenshots, if the environment names one.
#[expect(clippy::disallowed_methods, reason = "the environment names the folder of the screenshots")]
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("DATALAKE_SCREENSHOTS")?;
    Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(named))
}

#[test]
fn screenshots_have_the_size_of_the_window() {
    let scratch = tempfile::TempDir::new().unwrap();
    let folder = folder().unwrap_or_else(|| scratch.path().to_owned());
    fs::create_dir_all(&folder).unwrap();
    let server = lakes::edited_on_schedule();
    let run_id = server.json("/runs?limit=1")["runs"][0]["id"].as_str().unwrap().to_owned();
    let browser = Browser::open(&server);
    let views = [
        ("overview", "/".to_owned()),
        ("users", format!("/page/people?min_age=30&order=age.desc&on={}", lakes::ON)),
        ("gallery", format!("/page/people?view=gallery&on={}", lakes::ON)),
        ("user", format!("/page/people/1000?on={}", lakes::ON)),
        ("run", format!("/page/runs/{run_id}")),
        ("rejects", "/page/rejects".to_owned()),
    ];
    for (look, scheme, size) in [
        ("light", Scheme::Light, Size::DESK),
        ("dark", Scheme::Dark, Size::DESK),
        ("phone", Scheme::Light, Size::PHONE),
    ] {
        browser.set_display(scheme, size);
        for (name, path) in &views {
            browser.go_to(path);
            let path = folder.join(format!("{name}-{look}.png"));
            browser.screenshot(&path);
            let image = fs::read(&path).unwrap();
            assert!(image.starts_with(b"\x89PNG"), "{}", path.display());
            let side = |at: usize| u32::from_be_bytes(image[at..at + 4].try_into().unwrap());
            assert_eq!((side(16), side(20)), (size.width, size.height), "{}", path.display());
        }
    }
}
