//! The pictures of the README: `DATALAKE_SCREENSHOTS=docs/screenshots cargo test … browser::screenshots` writes them anew.

use std::{fs, path::PathBuf};

use super::{
    harness::{Browser, Scheme, Size},
    lakes,
};

/// Where the pictures go: a folder in the workspace, or one that goes again, as they are made in any case.
#[expect(clippy::disallowed_methods, reason = "whoever wants the pictures says where")]
fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("DATALAKE_SCREENSHOTS")?;
    Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(named))
}

#[test]
fn of_the_views_worth_showing() {
    let scratch = tempfile::TempDir::new().unwrap();
    let folder = folder().unwrap_or_else(|| scratch.path().to_owned());
    fs::create_dir_all(&folder).unwrap();
    let server = lakes::edited_on_schedule();
    let run_id = server.json("/runs?limit=1")["runs"][0]["id"].as_str().unwrap().to_owned();
    let browser = Browser::open(&server);
    let views = [
        ("overview", "/".to_owned()),
        ("people", format!("/page/people?min_age=30&order=age.desc&on={}", lakes::ON)),
        ("gallery", format!("/page/people?view=gallery&on={}", lakes::ON)),
        ("person", format!("/page/people/1000?on={}", lakes::ON)),
        ("run", format!("/page/runs/{run_id}")),
        ("rejects", "/page/rejects".to_owned()),
    ];
    for (look, scheme, size) in [
        ("light", Scheme::Light, Size::DESK),
        ("dark", Scheme::Dark, Size::DESK),
        ("phone", Scheme::Light, Size::PHONE),
    ] {
        browser.look(scheme, size);
        for (name, path) in &views {
            browser.go(path);
            let path = folder.join(format!("{name}-{look}.png"));
            browser.screenshot(&path);
            let picture = fs::read(&path).unwrap();
            assert!(picture.starts_with(b"\x89PNG"), "{}", path.display());
            let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
            assert_eq!((side(16), side(20)), (size.width, size.height), "{}", path.display());
        }
    }
}
