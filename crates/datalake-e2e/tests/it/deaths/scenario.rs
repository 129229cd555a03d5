//! The sources that the tests edit: one prepared lake, and edits of every kind.

use std::{fs, path::Path};

use super::{
    lake::{Lake, Objects, SOURCES},
    process::run,
};

/// Sources under their full keys, as a state of the folder `src-data/`.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(pub(super) Objects);

impl Sources {
    /// Adds a user's CSV, or replaces it.
    pub(super) fn csv(&mut self, user_id: &str, first_name: &str) -> &mut Self {
        let text = format!("first_name,last_name,birthts\n{first_name},Lee,612302400000\n");
        self.put(&format!("{user_id}.csv"), text.into_bytes())
    }

    /// Adds a user's image, or replaces it. Numbers from 0 on are different images.
    pub(super) fn png(&mut self, user_id: &str, number: usize) -> &mut Self {
        self.put(&format!("{user_id}.png"), image(number))
    }

    /// Adds a source, or replaces it.
    pub(super) fn put(&mut self, name: &str, bytes: Vec<u8>) -> &mut Self {
        self.0.insert(format!("{SOURCES}{name}"), bytes);
        self
    }

    /// Removes a source.
    pub(super) fn remove(&mut self, name: &str) -> &mut Self {
        self.0.remove(&format!("{SOURCES}{name}"));
        self
    }
}

/// The sources of the first version.
fn first() -> Sources {
    let mut sources = Sources::default();
    for (number, user_id) in ["0001", "1", "a", "a-b", "a.b", "A"].into_iter().enumerate() {
        sources.csv(user_id, "Kept").png(user_id, number);
    }
    sources.csv("changed", "Before").png("changed", 10);
    sources.csv("deleted", "Deleted").png("deleted", 11);
    sources.csv("linked", "Linked");
    sources.csv("replaced", "Replaced").png("replaced", 12);
    sources.csv("unlinked", "Unlinked").png("unlinked", 13);
    sources.csv("rejected", "Valid");
    sources.csv("damaged", "Damaged").png("damaged", 14);
    sources
}

/// The sources of the last version of a prepared lake.
pub(super) fn prepared() -> Sources {
    let mut sources = first();
    sources.csv("1", "Second");
    sources
}

/// The edits that a disturbed run processes: one of each kind.
pub(super) fn edited() -> Sources {
    let mut sources = prepared();
    sources.csv("new", "New").png("new", 20);
    sources.csv("changed", "After");
    sources.remove("deleted.csv").remove("deleted.png");
    sources.png("linked", 21);
    sources.png("replaced", 22);
    sources.remove("unlinked.png");
    sources.put("rejected.csv", b"first_name;last_name;birthts\n".to_vec());
    sources.put("damaged.png", b"not an image".to_vec());
    sources.put("never-valid.csv", Vec::new());
    sources
}

/// The edits during a pause: each object that the paused run changes is changed again, or back.
pub(super) fn edited_again() -> Sources {
    let mut sources = edited();
    sources.png("new", 30);
    sources.csv("changed", "Later");
    sources.csv("deleted", "Again").png("deleted", 31);
    sources.remove("linked.png");
    sources.png("replaced", 12);
    sources.png("unlinked", 32);
    sources.csv("later", "Later").png("later", 33);
    sources
}

/// Creates the prepared lake: two versions, and the edits that are not processed yet.
pub(super) fn prepare(lake: &Lake, edits: &Sources) {
    for sources in [first(), prepared()] {
        lake.set_sources(&sources.0);
        let ended = run(lake, &[]);
        assert_eq!(ended.status, Some(0), "{ended:?}");
    }
    lake.set_sources(&edits.0);
}

/// One of the sample images.
fn image(number: usize) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/src-data");
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| name.extension() == Some("png".as_ref()));
    names.sort_unstable();
    fs::read(&names[number % names.len()]).unwrap()
}
