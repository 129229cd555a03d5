//! Excerpts of hostile bytes, and the position within them.

use super::*;

#[test]
fn excerpts_are_short_and_printable() {
    for bytes in [
        "ä".repeat(200).into_bytes(),
        vec![0xff; 200],
        vec![0; 200],
        "\u{200b}".repeat(200).into_bytes(),
    ] {
        for offset in [0, 1, 100, 101, 199, 200] {
            let (text, position) = excerpt(&bytes, 0, offset).expect("there are bytes");
            assert!(text.len() <= Reject::EXCERPT_BYTES_MAX, "{} bytes", text.len());
            assert!(text.is_char_boundary(position.into()), "{text:?}, {position}");
            assert!(
                !text.chars().any(|character| character != ' ' && text::is_invisible(character)),
                "{text:?}"
            );
        }
    }
    assert_eq!(excerpt(b"", 0, 0), None);
}

/// In `expected`, a vertical bar marks the position.
#[track_caller]
fn check_position(bytes: &[u8], line_start: usize, offset: usize, expected: &str) {
    let (text, position) = excerpt(bytes, line_start, offset).expect("there are bytes");
    let (before, from) = text.split_at(position.into());
    assert_eq!(format!("{before}|{from}"), expected, "{bytes:?}, {line_start}, {offset}");
}

#[test]
fn excerpts_contain_the_line_of_the_position() {
    check_position(b"a\0b\tc", 0, 0, "|a<U+0000>b<U+0009>c");
    check_position(b"a\0b\tc", 0, 1, "a|<U+0000>b<U+0009>c");
    check_position(b"abc", 0, 3, "abc|");
    check_position(b"x\nabc\r\ny", 2, 3, "a|bc");
    check_position("a\u{200b}b".as_bytes(), 0, 1, "a|<U+200B>b");
    // The position of a byte within a character is that of the character.
    check_position("aäb".as_bytes(), 0, 2, "a|äb");
    check_position("aäb".as_bytes(), 0, 3, "aä|b");
    check_position(b"Jos\xe9,Lee", 0, 3, "Jos|<0xE9>,Lee");
    check_position(b"Jos\xe9,Lee", 0, 5, "Jos<0xE9>,|Lee");
    check_position(&[b'a'; 80], 0, 79, &format!("{}|a", "a".repeat(79)));
    check_position(&[b'a'; 200], 0, 100, &format!("{}|{}", "a".repeat(20), "a".repeat(60)));
    check_position(&[b'a'; 200], 0, 200, &format!("{}|", "a".repeat(80)));
}
