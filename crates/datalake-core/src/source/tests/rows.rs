//! The rows of a source: their number and their fields.

use rstest::rstest;

use super::{BORN, NAMES, check_accepted, check_message, with_row};
use crate::reject::{Notice, RejectCode};

#[rstest]
#[case::spelled_with_spaces_and_quotes("Susan,Lee,612302400000\n Susan, \"Lee\",612302400000")]
#[case::often("Susan,Lee,612302400000\nSusan,Lee,612302400000\nSusan,Lee,612302400000")]
#[case::another_spelling_of_the_number("Susan,Lee,612302400000\nSusan,Lee,612302400000.0\nSusan,Lee,+612302400000")]
#[case::leading_zeros("Susan,Lee,612302400000\nSusan,Lee,0612302400000")]
#[case::blanks_of_another_row("Susan,Lee,612302400000\n\u{a0}Susan,Lee\u{200b},612302400000")]
#[case::separators_between("Susan,Lee,612302400000\n,,\n\nSusan,Lee,612302400000")]
fn rows_equal_after_parsing_are_a_repeated_row(#[case] rows: &str) {
    check_accepted(&with_row(rows), NAMES, BORN, &[Notice::RepeatedRow]);
}

#[test]
fn rows_that_differ_in_additional_columns_are_a_repeated_row() {
    let source = b"first_name,last_name,birthts,n\nSusan,Lee,612302400000,1\nSusan,Lee,612302400000,2\n";
    check_accepted(source, NAMES, BORN, &[Notice::RepeatedRow]);
}

#[rstest]
#[case::names(
    "Susan,Lee,612302400000\nAaron,Fox,612302400000",
    "differs from the first one in first_name, last_name"
)]
#[case::number("Susan,Lee,612302400000\nSusan,Lee,612302400001", "differs from the first one in birthts")]
#[case::case("Susan,Lee,612302400000\nsusan,Lee,612302400000", "in first_name")]
#[case::invalid_row("Susan,Lee,612302400000\nSusan,Lee,soon", "in birthts")]
#[case::after_an_invalid_row("Susan,Lee,soon\nSusan,Lee,612302400000", "in birthts")]
#[case::repeated_header("Susan,Lee,612302400000\nfirst_name,last_name,birthts", "the header is repeated")]
#[case::total("Susan,Lee,612302400000\nTotal,,1", "differs from the first one")]
fn different_rows_are_rejected_as_multiple_rows(#[case] rows: &str, #[case] cause: &str) {
    check_message(
        &with_row(rows),
        RejectCode::MultipleRows,
        None,
        &[cause, "keep the row of this user"],
    );
}

#[rstest]
#[case::no_bytes(b"", "0 bytes")]
#[case::header_only(b"first_name,last_name,birthts\n", "a header and no row")]
#[case::header_without_newline(b"first_name,last_name,birthts", "a header and no row")]
#[case::header_and_separators(b"first_name,last_name,birthts\n,,\n", "a header and no row")]
#[case::blank_lines_only(b"\n  \n\r\n", "only blank lines")]
#[case::separators_only(b",,\n,,\n", "only blank lines")]
#[case::byte_order_mark_only(b"\xef\xbb\xbf", "only blank lines")]
fn files_without_a_row_are_empty(#[case] source: &[u8], #[case] cause: &str) {
    check_message(source, RejectCode::Empty, None, &[cause]);
}

#[rstest]
#[case::short("Susan,Lee", "this row has 2 fields", "expected 3 fields")]
#[case::one("Susan", "this row has 1 field;", "expected 3 fields")]
#[case::ctrl_z("Susan,Lee,612302400000\n\u{1a}", "U+001A (SUBSTITUTE, Ctrl-Z)", "remove the line")]
#[case::comment("Susan,Lee,612302400000\n# a note", "a comment", "remove the line")]
#[case::row_count("Susan,Lee,612302400000\n(1 row)", "the row count of a database client", "remove the line")]
#[case::long("Susan,Lee,1,2", "this row has 4 fields", "quote values that contain a comma")]
#[case::comma_in_a_name("Susan,Lee, Jr,612302400000", "this row has 4 fields", "quote values that contain a comma")]
#[case::typographic_quotes("Susan,“Lee, Jr”,612302400000", "contains U+201C, U+201D, which do not quote", "quote values")]
#[case::single_quotes("Susan,'Lee, Jr',612302400000", "contains U+0027", "quote values")]
#[case::commas_at_the_end("Susan,Lee,1,,", "those after field 3 are empty", "remove the commas at its end")]
#[case::second_row_long("Susan,Lee,1\nSusan,Lee,1,", "this row has 4 fields", "remove the commas at its end")]
fn wrong_number_of_fields_is_rejected_with_a_remedy(#[case] rows: &str, #[case] cause: &str, #[case] remedy: &str) {
    check_message(&with_row(rows), RejectCode::FieldCount, None, &[cause, remedy]);
}

#[test]
fn truncated_row_is_reported_as_the_last_line() {
    let source = b"first_name,last_name,birthts\nSusan,Le";
    check_message(
        source,
        RejectCode::FieldCount,
        None,
        &["2 fields", "the last line has no line break"],
    );
}
