//! Misplaced quotes.

use rstest::rstest;

use super::{check_message, check_rejected, with_row};
use crate::reject::RejectCode;

#[rstest]
#[case::unclosed("\"Susan,Lee,612302400000", "opened here and never closed")]
#[case::unclosed_at_the_end("Susan,Lee,\"", "opened here and never closed")]
#[case::text_after("\"Susan\"x,Lee,612302400000", "text after a closing quote")]
#[case::backslash("\"Susan \\\"Su\\\"\",Lee,612302400000", "has a backslash, which does not escape it")]
#[case::within_a_plain_value("Su\"san,Lee,612302400000", "within a value that is not quoted")]
#[case::formula_of_a_spreadsheet("Susan,Lee,=\"612302400000\"", "within a value that is not quoted")]
fn misplaced_quotes_are_rejected(#[case] row: &str, #[case] cause: &str) {
    check_message(&with_row(row), RejectCode::Quote, None, &[cause]);
}

#[rstest]
#[case::unclosed_in_the_header(b"\"first_name;last_name;birthts\nSusan;Lee;1\n")]
#[case::whole_lines_in_quotes(b"\"first_name,last_name,birthts\"\n\"Susan,Lee,612302400000\"\n")]
fn misplaced_quotes_of_the_header_are_rejected(#[case] source: &[u8]) {
    check_rejected(source, RejectCode::Quote);
}
