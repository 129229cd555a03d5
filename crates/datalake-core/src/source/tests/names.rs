//! Names: control characters, invisible characters, and the maximum length.

use rstest::rstest;

use super::{BORN, check_accepted, check_message, with_row};
use crate::reject::RejectCode;

#[rstest]
#[case::nul("Su\0san,Lee,612302400000", "first_name", "U+0000 (NULL)")]
#[case::tab("Su\tsan,Lee,612302400000", "first_name", "U+0009 (TAB)")]
#[case::escape("Susan,L\x1b[31mee,612302400000", "last_name", "U+001B (ESCAPE)")]
#[case::delete("Susan,L\x7fee,612302400000", "last_name", "U+007F (DELETE)")]
#[case::next_line("Susan,L\u{85}ee,612302400000", "last_name", "U+0085 (NEXT LINE)")]
#[case::c1("Susan,L\u{9b}ee,612302400000", "last_name", "U+009B")]
#[case::vertical_tab("Susan,L\u{b}ee,612302400000", "last_name", "U+000B (VERTICAL TAB)")]
#[case::within_quotes("Susan,\"L\"\"\u{7}ee\",612302400000", "last_name", "U+0007")]
#[case::alone("\0,Lee,612302400000", "first_name", "U+0000 (NULL)")]
fn control_character_in_a_name_is_rejected_by_name(#[case] row: &str, #[case] column: &str, #[case] character: &str) {
    check_message(&with_row(row), RejectCode::ControlCharacter, Some(column), &[column, character]);
}

#[rstest]
#[case::nothing(",Lee,612302400000", "first_name is empty")]
#[case::quotes("\"\",Lee,612302400000", "first_name is empty")]
#[case::spaces("\"  \",Lee,612302400000", "first_name has only characters that cannot be seen: U+0020 (SPACE)")]
#[case::zero_width_spaces("\"\u{200b}\u{200b}\",Lee,612302400000", "U+200B (ZERO WIDTH SPACE)")]
#[case::hangul_filler("\u{3164},Lee,612302400000", "U+3164")]
#[case::braille_blank("\u{2800},Lee,612302400000", "U+2800")]
#[case::variation_selector("\u{fe0f},Lee,612302400000", "U+FE0F")]
#[case::line_feed("\"\n\",Lee,612302400000", "U+000A (LINE FEED)")]
fn name_without_a_visible_character_is_rejected_as_value_empty(#[case] row: &str, #[case] cause: &str) {
    check_message(
        &with_row(row),
        RejectCode::ValueEmpty,
        Some("first_name"),
        &[cause, "write the name"],
    );
}

#[test]
fn name_over_1000_bytes_is_rejected_as_value_too_long() {
    let with_name = |name: &str| with_row(&format!("{name},Lee,{BORN}"));
    check_accepted(&with_name(&"a".repeat(1_000)), [&"a".repeat(1_000), "Lee"], BORN, &[]);
    for (name, bytes) in [("a".repeat(1_001), "1,001 bytes"), ("é".repeat(501), "1,002 bytes")] {
        check_message(
            &with_name(&name),
            RejectCode::ValueTooLong,
            Some("first_name"),
            &[bytes, "at most 1,000 bytes"],
        );
    }
}
