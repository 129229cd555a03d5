//! The input rules for CSVs: each rule, and further cases of the same class.

mod accepted;
mod encoding;
mod formats;
mod header;
mod names;
mod numbers;
mod quotes;
mod rows;

use rstest::rstest;

use super::*;
use crate::{
    cpu_time::{LONGEST, fastest},
    text,
};

/// 2026-11-24T00:00:00Z
const RUN_AT: i64 = 1_795_478_400;

fn parse(bytes: &[u8]) -> Result<ParsedRow, Reject> {
    RowParser::new(Dataset::users()).parse(bytes, Timestamp::from_second(RUN_AT).unwrap())
}

fn values(names: [&str; 2], birthts_ms: i64) -> Vec<Option<Value>> {
    let names = names.map(|name| Some(Value::Text(name.into())));
    names.into_iter().chain([Some(Value::EpochMs(birthts_ms))]).collect()
}

#[track_caller]
fn check_accepted(bytes: &[u8], [first_name, last_name]: [&str; 2], birthts_ms: i64, notices: &[Notice]) {
    let accepted = parse(bytes).unwrap_or_else(|reject| panic!("{reject:?}: {:?}", String::from_utf8_lossy(bytes)));
    let expected = ParsedRow {
        values: values([first_name, last_name], birthts_ms),
        notices: notices.to_vec(),
    };
    assert_eq!(accepted, expected, "source: {:?}", String::from_utf8_lossy(bytes));
}

/// Whether messages and excerpts must show the code point instead of the character.
fn is_hidden(character: char) -> bool {
    character != ' ' && text::is_invisible(character)
}

/// Each reject is complete, regardless of its code.
fn check_complete(reject: &Reject) {
    let Reason { found, expected, remedy } = &*reject.reason;
    for text in [found, expected, remedy] {
        assert!(!text.is_empty() && !text.ends_with('.'), "{reject:?}");
        assert!(!text.chars().any(is_hidden), "{reject:?}");
    }
    assert_eq!(reject.excerpt.is_some(), reject.excerpt_offset.is_some(), "{reject:?}");
    if let (Some(text), Some(offset)) = (&reject.excerpt, reject.excerpt_offset) {
        assert!(
            text.len() <= Reject::EXCERPT_BYTES_MAX && text.is_char_boundary(offset.into()),
            "{reject:?}"
        );
        assert!(!text.chars().any(is_hidden), "{reject:?}");
    }
}

#[track_caller]
fn check_rejected(bytes: &[u8], code: RejectCode) -> Reject {
    let reject = parse(bytes).expect_err("must be rejected");
    assert_eq!(reject.code, code, "source: {:?}, {reject:?}", String::from_utf8_lossy(bytes));
    check_complete(&reject);
    reject
}

/// Checks that the source is rejected with a message that contains each of these texts.
#[track_caller]
fn check_message(bytes: &[u8], code: RejectCode, column: Option<&str>, parts: &[&str]) {
    let reject = check_rejected(bytes, code);
    let message = reject.reason.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!(reject.column_name.as_deref(), column, "{message}");
}

const NAMES: [&str; 2] = ["Susan", "Lee"];
const BORN: i64 = 612_302_400_000;

fn with_row(row: &str) -> Vec<u8> {
    format!("first_name,last_name,birthts\n{row}\n").into_bytes()
}

fn with_header(header: &str) -> Vec<u8> {
    format!("{header}\nSusan,Lee,612302400000\n").into_bytes()
}

#[test]
fn file_over_64_kib_is_rejected_as_too_large() {
    let row = format!("first_name,last_name,birthts\nSusan,Lee,{BORN}\n");
    let of_size = |size: usize| format!("{row}{}", "\n".repeat(size - row.len()));
    check_accepted(of_size(64 * 1024).as_bytes(), NAMES, BORN, &[]);
    check_message(
        of_size(64 * 1024 + 1).as_bytes(),
        RejectCode::TooLarge,
        None,
        &["65,537 bytes", "at most 65,536 bytes"],
    );
    assert_eq!(too_large("user", 64 * 1024), None);
    assert_eq!(too_large("user", 1 << 40).map(|reject| reject.code), Some(RejectCode::TooLarge));
}

#[rstest]
#[case::after_a_byte_order_mark(b"\xef\xbb\xbffirst_name,last_name,birthts\r\nSusan,Lee, soon\r\n", (2, 12, 44), "Susan,Lee, |soon")]
#[case::undecodable_byte(b"first_name,last_name,birthts\nJos\xe9,Lee,1\n", (2, 4, 32), "Jos|<0xE9>,Lee,1")]
#[case::after_lone_cr(b"first_name,last_name,birthts\r\"a\nb\",\"\0\",1", (3, 5, 36), "b\",\"|<U+0000>\",1")]
#[case::header(b"first_name,Last Name,birthts\nSusan,Lee,1\n", (1, 12, 11), "first_name,|Last Name,birthts")]
#[case::invisible(b"first_name,last_name\xe2\x80\x8b,birthts\n", (1, 12, 11), "first_name,|last_name<U+200B>,birthts")]
#[case::whole_line(b"first_name,last_name,birthts\nSusanna Maria Theresia,van der Lee-Smith,612302400000x\n", (2, 42, 70), "Susanna Maria Theresia,van der Lee-Smith,|612302400000x")]
#[case::empty_value(b"first_name,last_name,birthts\nSusan,,1\n", (2, 7, 35), "Susan,|,1")]
#[case::end_of_line(b"first_name,last_name,birthts\nSusan,Lee,\n", (2, 11, 39), "Susan,Lee,|")]
fn rejects_have_a_position_and_its_line(#[case] source: &[u8], #[case] expected: (u32, u32, u64), #[case] excerpt: &str) {
    let reject = parse(source).expect_err("must be rejected");
    check_complete(&reject);
    let position = reject.position.expect("the reject has a position");
    assert_eq!(
        (position.line.unwrap(), position.column.unwrap(), position.byte_offset),
        expected,
        "{reject:?}"
    );
    let text = reject.excerpt.expect("there is an excerpt");
    let (before, from) = text.split_at(reject.excerpt_offset.unwrap().into());
    assert_eq!(format!("{before}|{from}"), excerpt);
}

#[test]
fn reused_buffers_do_not_affect_results() {
    let mut parser = RowParser::new(Dataset::users());
    let run_at = Timestamp::from_second(RUN_AT).unwrap();
    let long = format!("first_name,last_name,birthts\n{},Lee,1\n", "a".repeat(900));
    assert!(parser.parse(long.as_bytes(), run_at).is_ok());
    assert!(parser.parse(b"first_name,last_name,birthts\n\"unclosed", run_at).is_err());
    let accepted = parser
        .parse(b"first_name, last_name, birthts\nSusan, Lee, 612302400000\n", run_at)
        .unwrap();
    assert_eq!(accepted.values[..2], values(["Susan", "Lee"], 0)[..2]);
}

/// The largest amount of work that the size limit allows, for each kind of work.
#[rstest]
#[case::columns("x,")]
#[case::rows("a,b,1\n")]
#[case::quotes("\"\"")]
#[case::open_quotes("\"")]
#[case::blanks("\u{200b}")]
#[case::similar_names("first_nam,")]
#[case::undecodable("\u{fffd}")]
#[case::delimiters(";")]
#[case::digits("9")]
#[case::angle_brackets("<a")]
#[case::zip_names("PK\u{3}\u{4}")]
fn source_is_parsed_in_bounded_time(#[case] part: &str) {
    let parts = |size: usize| part.repeat(size / part.len());
    let header = "first_name,last_name,birthts\n";
    let sources = [
        parts(65_536),
        format!("{header}{}", parts(65_000)),
        format!("{header}a,b,{}", parts(65_000)),
        format!("{header}\"{}\",b,1", parts(65_000)),
        format!("first_name,{}\na,b\n", parts(65_000)),
    ];
    let run_at = Timestamp::from_second(RUN_AT).unwrap();
    let mut parser = RowParser::new(Dataset::users());
    for source in sources {
        let elapsed = fastest(|| {
            if let Err(reject) = parser.parse(source.as_bytes(), run_at) {
                check_complete(&reject);
            }
        });
        assert!(elapsed < LONGEST, "{elapsed:?}: {part:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_get_a_result(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        if let Err(reject) = parse(&bytes) {
            check_complete(&reject);
        }
    }

    #[test]
    fn any_text_of_csv_characters_gets_a_result(text in "[a\",;\r\n\t é\0\u{200b}\u{feff}\u{2028}]{0,60}") {
        if let Err(reject) = parse(format!("first_name,last_name,birthts\n{text}").as_bytes()) {
            check_complete(&reject);
        }
    }

    #[test]
    fn any_header_gets_a_result(text in "(first|last|_|name|birthts|[a\",;\t \u{200b}\u{430}<{]){0,12}") {
        if let Err(reject) = parse(format!("{text}\nSusan,Lee,1\n").as_bytes()) {
            check_complete(&reject);
        }
    }

    #[test]
    fn any_number_gets_a_result(text in "[-+]?[0-9.eE,' x\u{2212}\u{ff11}]{0,24}") {
        if let Err(reject) = parse(format!("first_name,last_name,birthts\nSusan,Lee,\"{text}\"\n").as_bytes()) {
            check_complete(&reject);
        }
    }

    /// A changed byte of a valid source gives a result; the position of a reject is within the source.
    #[test]
    fn any_changed_byte_gets_a_result(at in 0..64_usize, byte in proptest::num::u8::ANY) {
        let mut source = with_row("Susan,\"Lee, Jr\",612302400000");
        let at = at % source.len();
        source[at] = byte;
        if let Err(reject) = parse(&source) {
            check_complete(&reject);
            let length = u64::try_from(source.len()).unwrap();
            proptest::prop_assert!(reject.position.is_none_or(|position| position.byte_offset <= length));
        }
    }

    /// Any quoted name is read without white space around it.
    #[test]
    fn quoted_names_round_trip(name in "[^\\p{Cc}]{1,40}") {
        proptest::prop_assume!(!name.chars().all(text::is_invisible));
        let source = format!("first_name,last_name,birthts\n\"{}\",Lee,1\n", name.replace('"', "\"\""));
        let accepted = parse(source.as_bytes()).unwrap();
        proptest::prop_assert_eq!(&accepted.values[0], &Some(Value::Text(text::trim(&name).into())));
    }
}
