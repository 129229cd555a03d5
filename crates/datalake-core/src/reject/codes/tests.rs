//! The codes and the page that describes them: each code has a section with an example, and each example has the code.

use std::collections::BTreeSet;

use jiff::Timestamp;
use regex::{Captures, Regex};

use super::*;
use crate::{dataset::Dataset, keys::parse_source, source::RowParser};

const PAGE: &str = include_str!("../../../../../docs/src/rejects.md");

/// The sections of the page: the code in the heading, and the text below it.
fn sections() -> Vec<(&'static str, &'static str)> {
    let section = |section: &'static str| section.split_once('\n').expect("text follows a heading");
    let code = |heading: &'static str| heading.strip_prefix('`').and_then(|heading| heading.strip_suffix('`'));
    let sections = PAGE.split("\n## ").skip(1).map(section);
    sections
        .map(|(heading, text)| (code(heading).expect("a heading is a code"), text))
        .collect()
}

/// The example in this language.
fn example(text: &'static str, language: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once(&format!("\n```{language}\n"))?;
    rest.split_once("```").map(|(example, _)| example)
}

/// The bytes of an example, in which `<0xE9>` is a byte and `<U+200B>` a character.
fn bytes(example: &str) -> Vec<u8> {
    let escape = Regex::new(r"<(?:0x([0-9A-F]{2})|U\+([0-9A-F]{4,6}))>").unwrap();
    let mut bytes = Vec::new();
    let mut end = 0;
    for escaped in escape.captures_iter(example) {
        let number = |captures: &Captures<'_>, group| captures.get(group).map(|digits| u32::from_str_radix(digits.as_str(), 16).unwrap());
        let whole = escaped.get(0).unwrap();
        bytes.extend_from_slice(&example.as_bytes()[end..whole.start()]);
        end = whole.end();
        match (number(&escaped, 1), number(&escaped, 2)) {
            (Some(byte), _) => bytes.push(u8::try_from(byte).unwrap()),
            (None, Some(character)) => bytes.extend_from_slice(char::from_u32(character).unwrap().to_string().as_bytes()),
            (None, None) => unreachable!("one of the groups matches"),
        }
    }
    bytes.extend_from_slice(&example.as_bytes()[end..]);
    bytes
}

#[test]
fn codes_round_trip() {
    for code in RejectCode::ALL {
        assert_eq!(RejectCode::parse(code.as_str()), Some(*code));
    }
    for code in IgnoreCode::ALL {
        assert_eq!(IgnoreCode::parse(code.as_str()), Some(*code));
    }
    assert_eq!(RejectCode::parse("bad_id"), None);
}

#[test]
fn every_code_has_one_section_and_every_section_a_code() {
    let rejected = RejectCode::ALL.iter().map(|code| code.as_str());
    let ignored = IgnoreCode::ALL.iter().map(|code| code.as_str());
    let notices = Notice::ALL.iter().map(|notice| notice.as_str());
    let codes: BTreeSet<_> = rejected.chain(ignored).chain(notices).collect();
    let sections = sections();
    assert_eq!(sections.len(), codes.len(), "no code has two sections");
    assert_eq!(sections.into_iter().map(|(code, _)| code).collect::<BTreeSet<_>>(), codes);
}

#[test]
fn every_section_has_the_kind_one_example_and_the_fix() {
    for (code, text) in sections() {
        let kind = match (RejectCode::parse(code), IgnoreCode::parse(code), Notice::parse(code)) {
            (Some(_), ..) => "**Rejected.** ",
            (_, Some(_), _) => "**Ignored.** ",
            (.., notice) if notice.is_some_and(Notice::is_normalized) => "**Normalized.** ",
            _ => "**Warning.** ",
        };
        assert!(text.starts_with(&format!("\n{kind}")), "{code}: {text}");
        let [cause, _, fix] = text.split("```").collect::<Vec<_>>()[..] else {
            panic!("{code}: one example");
        };
        assert!(fix.starts_with("\n\n**Fix:** "), "{code}: {fix}");
        for paragraphs in [cause, fix] {
            assert!(
                !paragraphs.lines().any(|line| line.starts_with(['<', '#'])),
                "{code}: no HTML, no other heading"
            );
        }
    }
}

#[test]
fn csv_examples_have_their_code() {
    let run_at: Timestamp = "2026-11-24T00:00:00Z".parse().unwrap();
    let mut count = 0;
    for (code, text) in sections() {
        let Some(example) = example(text, "csv") else { continue };
        count += 1;
        let found: Vec<_> = match RowParser::new(Dataset::users()).parse(&bytes(example), run_at) {
            Ok(accepted) => accepted.notices.iter().map(|notice| notice.as_str()).collect(),
            Err(reject) => vec![reject.code.as_str()],
        };
        assert_eq!(found, [code], "{example}");
    }
    assert!(count >= 15, "most codes have an example that can be parsed: {count}");
}

#[test]
fn names_in_examples_have_their_code() {
    for (code, text) in sections() {
        // The others depend on further objects, or on the file system.
        if matches!(code, "bad_id" | "unknown_kind" | "temporary" | "nested") {
            let key = example(text, "text").expect("a key").trim_end();
            assert_eq!(parse_source(Dataset::users(), key).map_err(IgnoreCode::as_str), Err(code), "{key}");
        }
    }
}
