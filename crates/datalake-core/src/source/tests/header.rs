//! The header: missing and repeated columns, and other delimiters.

use rstest::rstest;

use super::{check_message, with_header};
use crate::reject::RejectCode;

#[rstest]
#[case::absent("first_name,birthts", "last_name", "no column last_name", "add the column")]
#[case::two_absent("first_name,x", "last_name", "no column last_name and no column birthts", "add the column")]
#[case::zero_width_space(
    "first_name,last_name\u{200b},birthts",
    "last_name",
    "\"last_name<U+200B>\", which contains U+200B (ZERO WIDTH SPACE)",
    "rename that column to last_name"
)]
#[case::no_break_space(
    "first_name,last\u{a0}name,birthts",
    "last_name",
    "contains U+00A0 (NO-BREAK SPACE)",
    "rename that column to last_name"
)]
#[case::second_byte_order_mark(
    "\u{feff}\u{feff}first_name,last_name,birthts",
    "first_name",
    "U+FEFF (BYTE ORDER MARK)",
    "rename that column to first_name"
)]
#[case::byte_order_mark_within_quotes(
    "\"\u{feff}first_name\",last_name,birthts",
    "first_name",
    "U+FEFF (BYTE ORDER MARK)",
    "rename that column to first_name"
)]
#[case::nul(
    "first_name,last_name\u{0},birthts",
    "last_name",
    "U+0000 (NULL)",
    "rename that column to last_name"
)]
#[case::cyrillic_letter("first_name,l\u{430}st_name,birthts", "last_name", "U+0430", "rename that column to last_name")]
#[case::full_width_letters(
    "ｆｉｒｓｔ＿ｎａｍｅ,last_name,birthts",
    "first_name",
    "U+FF46",
    "rename that column to first_name"
)]
#[case::space_for_underscore(
    "First Name,last_name,birthts",
    "first_name",
    "the nearest is \"First Name\"",
    "rename that column to first_name"
)]
#[case::all_names_in_another_style(
    "First Name,Last Name,Birth TS",
    "first_name",
    "the nearest is \"First Name\"",
    "rename that column to first_name"
)]
#[case::hyphen("first-name,last_name,birthts", "first_name", "\"first-name\"", "rename that column to first_name")]
#[case::camel_case("firstName,last_name,birthts", "first_name", "\"firstName\"", "rename that column to first_name")]
#[case::typing_error("first_name,lastnmae,birthts", "last_name", "\"lastnmae\"", "rename that column to last_name")]
#[case::semicolon_beside_commas(
    "first_name;x,last_name,birthts",
    "first_name",
    "\"first_name;x\"",
    "rename that column to first_name"
)]
#[case::unrelated_name("first_name,surname,birthts", "last_name", "no column last_name;", "add the column")]
fn missing_column_is_rejected_with_the_nearest_name(#[case] header: &str, #[case] column: &str, #[case] cause: &str, #[case] remedy: &str) {
    check_message(&with_header(header), RejectCode::MissingColumn, Some(column), &[cause, remedy]);
}

#[rstest]
#[case::same("first_name,last_name,first_name,birthts")]
#[case::another_case("first_name,last_name,FIRST_NAME,birthts")]
#[case::quoted("first_name,last_name,\"first_name\",birthts")]
fn repeated_column_is_rejected(#[case] header: &str) {
    check_message(
        &with_header(header),
        RejectCode::DuplicateColumn,
        Some("first_name"),
        &["names first_name twice, in columns 1 and 3"],
    );
}

#[rstest]
#[case::row_first(b"Susan,Lee,612302400000\n", "\"Susan,Lee,612302400000\"")]
#[case::other_names(b"vorname,nachname,geburt\nSusan,Lee,1\n", "names none of the columns")]
#[case::one_word(b"hello\n", "\"hello\"")]
#[case::sql(b"INSERT INTO users VALUES (1, 'Susan')\n", "names none of the columns")]
#[case::excel_declares_the_comma(b"sep=,\nfirst_name,last_name,birthts\nSusan,Lee,1\n", "only Excel understands")]
fn first_line_without_columns_is_rejected_as_no_header(#[case] source: &[u8], #[case] cause: &str) {
    check_message(source, RejectCode::NoHeader, None, &[cause, "first_name,last_name,birthts"]);
}

#[rstest]
#[case::semicolon("first_name;last_name;birthts\nSusan;Lee;1\n", "semicolons")]
#[case::tab("first_name\tlast_name\tbirthts\nSusan\tLee\t1\n", "tabs")]
#[case::vertical_bar("first_name|last_name|birthts\nSusan|Lee|1\n", "vertical bars")]
#[case::caret("first_name^last_name^birthts\nSusan^Lee^1\n", "carets")]
#[case::space("first_name last_name birthts\nSusan Lee 1\n", "spaces")]
#[case::several_spaces("first_name  last_name  birthts\nSusan  Lee  1\n", "spaces")]
#[case::colon("first_name:last_name:birthts\nSusan:Lee:1\n", "colons")]
#[case::full_width_comma("first_name，last_name，birthts\nSusan，Lee，1\n", "full-width commas")]
#[case::unit_separator("first_name\u{1f}last_name\u{1f}birthts\n", "unit separators")]
#[case::excel_declares_the_semicolon("sep=;\nfirst_name;last_name;birthts\nSusan;Lee;1\n", "declares the delimiter \";\" for Excel")]
#[case::markdown("| first_name | last_name | birthts |\n", "vertical bars")]
#[case::quoted_semicolons("\"first_name\";\"last_name\";\"birthts\"\n\"Susan\";\"Lee\";\"1\"\n", "semicolons")]
#[case::quoted_tabs("\n\"first_name\"\t\"last_name\"\t\"birthts\"\r\n\"Susan\"\t\"Lee\"\t\"1\"\r\n", "tabs")]
#[case::quoted_values("first_name;last_name;birthts\n\"Susan\";\"Lee, Jr\";1\n", "semicolons")]
#[case::one_quoted_line("\"first_name;last_name;birthts\"\n\"Susan;Lee;1\"\n", "semicolons")]
#[case::in_the_row_alone("first_name,last_name,birthts\nSusan;Lee;612302400000\n", "semicolons")]
#[case::without_a_header("Susan;Lee;612302400000\n", "semicolons")]
fn other_delimiter_is_rejected_by_name(#[case] source: &str, #[case] delimiter: &str) {
    check_message(source.as_bytes(), RejectCode::Delimiter, None, &[delimiter, "commas"]);
}
