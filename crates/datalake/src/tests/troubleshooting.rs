//! The messages that the page about operations quotes are those of the program.

use std::{fs, path::Path};

use super::quoted_commands::join_continued;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The placeholder of a value in a quoted message.
const VALUE: char = '…';

/// The texts in backticks in the first column of the table.
fn quoted_messages(page: &str) -> Vec<String> {
    let (_, section) = page.split_once("\n## Troubleshooting\n").expect("the page has the section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned))
        .collect()
}

/// The code of the executable, without its tests.
fn sources() -> Vec<String> {
    let mut sources = Vec::new();
    let crates = fs::read_dir(Path::new(ROOT).join("crates")).unwrap();
    let mut left: Vec<_> = crates.map(|entry| entry.unwrap().path().join("src")).collect();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("troubleshooting.rs") {
            sources.push(join_continued(&fs::read_to_string(&path).unwrap()));
        }
    }
    sources
}

/// Whether a source has all parts of the message in their order, within a few lines.
fn contains(source: &str, message: &str) -> bool {
    let parts: Vec<&str> = message.split(VALUE).filter(|part| !part.trim().is_empty()).collect();
    let [first, rest @ ..] = &*parts else { return false };
    source.match_indices(first).any(|(start, _)| {
        let end = source.ceil_char_boundary(start + 400);
        let mut text = &source[start + first.len()..end];
        rest.iter().all(|part| match text.split_once(part) {
            Some((_, after)) => {
                text = after;
                true
            }
            None => false,
        })
    })
}

#[test]
fn quoted_messages_are_those_of_the_program() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/src/operations.md")).unwrap();
    let (messages, sources) = (quoted_messages(&page), sources());
    assert!(messages.len() > 15, "messages are found: {messages:?}");
    let missing: Vec<&String> = messages
        .iter()
        .filter(|message| !sources.iter().any(|source| contains(source, message)))
        .collect();
    assert!(missing.is_empty(), "no code has these messages: {missing:#?}");
}

#[test]
fn parts_of_a_message_are_found_in_their_order() {
    assert!(contains(
        "format!(\"cannot listen on {address}: address in use\")",
        "cannot listen on …: address in use"
    ));
    assert!(!contains(
        "address in use; cannot listen on {address}",
        "cannot listen on …: address in use"
    ));
}
