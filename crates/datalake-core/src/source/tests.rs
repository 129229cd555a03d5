//! The input rules for CSVs: each rule, and further cases of the same class.

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

#[rstest]
#[case::sample(b"first_name, last_name, birthts\nSusan, Lee, 612302400000\n")]
#[case::spaces(b"  first_name ,last_name   , birthts\n   Susan ,  Lee ,612302400000   \n")]
#[case::byte_order_mark(b"\xef\xbb\xbffirst_name,last_name,birthts\nSusan,Lee,612302400000\n")]
#[case::lf(b"first_name,last_name,birthts\nSusan,Lee,612302400000\n")]
#[case::crlf(b"first_name,last_name,birthts\r\nSusan,Lee,612302400000\r\n")]
#[case::lone_cr(b"first_name,last_name,birthts\rSusan,Lee,612302400000\r")]
#[case::cr_cr_lf(b"first_name,last_name,birthts\r\r\nSusan,Lee,612302400000\r\r\n")]
#[case::mixed_line_ends(b"first_name,last_name,birthts\r\nSusan,Lee,612302400000\n\r")]
#[case::no_final_newline(b"first_name,last_name,birthts\nSusan,Lee,612302400000")]
#[case::reordered(b"birthts,last_name,first_name\n612302400000,Lee,Susan\n")]
#[case::header_in_another_case(b"First_Name,LAST_NAME,BirthTS\nSusan,Lee,612302400000\n")]
#[case::quoted(b"\"first_name\",last_name,birthts\n\"Susan\", \"Lee\" ,\"612302400000\"\n")]
#[case::additional_columns(b"id,first_name,note,last_name,birthts,\n7,Susan,,Lee,612302400000,x\n")]
#[case::additional_columns_of_one_name(b"x,x,first_name,last_name,birthts\n1,2,Susan,Lee,612302400000\n")]
#[case::blank_lines(b"\n  \nfirst_name,last_name,birthts\n\n \nSusan,Lee,612302400000\n\n   \n\n")]
#[case::lines_of_separators(b",,\nfirst_name,last_name,birthts\n,,\nSusan,Lee,612302400000\n,,\n,,,,\n , ,\r\n,\n")]
#[case::invisible_lines(b"first_name,last_name,birthts\n\t\nSusan,Lee,612302400000\n\xc2\xa0\n\xef\xbb\xbf\n\xe2\x80\x8b,\xc2\xa0,\t\n")]
fn valid_source_is_accepted_without_notices(#[case] source: &[u8]) {
    check_accepted(source, NAMES, BORN, &[]);
}

#[rstest]
#[case::quoted_comma("\"Lee, Jr\"", "Lee, Jr")]
#[case::quoted_newline("\"Lee\nSmith\"", "Lee\nSmith")]
#[case::quoted_crlf("\"Lee\r\nSmith\"", "Lee\r\nSmith")]
#[case::doubled_quotes("\"Lee \"\"the Bee\"\"\"", "Lee \"the Bee\"")]
#[case::only_doubled_quotes("\"\"\"\"", "\"")]
#[case::formula("=cmd()", "=cmd()")]
#[case::plus("+1", "+1")]
#[case::minus("-1", "-1")]
#[case::at("@x", "@x")]
#[case::any_script("李 小龙", "李 小龙")]
#[case::zero_width_joiner_within("क\u{94d}\u{200d}ष", "क\u{94d}\u{200d}ष")]
#[case::no_break_space_within("van\u{a0}Lee", "van\u{a0}Lee")]
#[case::soft_hyphen_within("Lee\u{ad}Smith", "Lee\u{ad}Smith")]
#[case::byte_order_mark_within("L\u{feff}ee", "L\u{feff}ee")]
#[case::line_separator_within("Lee\u{2028}Smith", "Lee\u{2028}Smith")]
#[case::emoji_with_its_selector("Lee ❤\u{fe0f}", "Lee ❤\u{fe0f}")]
#[case::typographic_quotes("“Lee”", "“Lee”")]
#[case::apostrophe("O'Lee", "O'Lee")]
#[case::full_width_comma("Lee，Jr", "Lee，Jr")]
fn names_are_accepted_as_written(#[case] written: &str, #[case] read: &str) {
    check_accepted(&with_row(&format!("Susan,{written},612302400000")), ["Susan", read], BORN, &[]);
}

#[rstest]
#[case::no_break_space("Susan,\u{a0}Lee\u{a0},612302400000")]
#[case::ideographic_space("Susan,Lee\u{3000},612302400000")]
#[case::zero_width_space("\u{200b}Susan,Lee,612302400000")]
#[case::byte_order_mark("\u{feff}Susan,Lee,612302400000")]
#[case::tab("Susan,\tLee,612302400000")]
#[case::line_separator("Susan,Lee\u{2028},612302400000")]
#[case::next_line("Susan,Lee\u{85},612302400000")]
#[case::soft_hyphen("Susan,Lee\u{ad},612302400000")]
#[case::direction_marks("\u{202a}Susan\u{202c},\u{200e}Lee,612302400000")]
#[case::word_joiner("Susan,\u{2060}Lee,612302400000")]
#[case::several("Susan, \u{a0}\u{200b} Lee,612302400000")]
#[case::before_a_quote("Susan,\u{a0}\"Lee\",612302400000")]
#[case::after_a_quote("Susan,\"Lee\"\u{200b},612302400000")]
#[case::within_quotes("Susan,\" Lee \",612302400000")]
#[case::newline_within_quotes("Susan,\"Lee\r\n\",612302400000")]
#[case::space_within_the_quotes_of_the_number("Susan,Lee,\" 612302400000\"")]
#[case::no_break_space_at_the_number("Susan,Lee,612302400000\u{a0}")]
#[case::tab_within_the_quotes_of_the_number("Susan,Lee,\"612302400000\t\"")]
fn blanks_around_values_are_trimmed(#[case] row: &str) {
    check_accepted(&with_row(row), NAMES, BORN, &[Notice::Trimmed]);
}

#[rstest]
#[case::integer("612302400000", BORN, &[])]
#[case::quoted("\"612302400000\"", BORN, &[])]
#[case::negative("-612302400000", -BORN, &[])]
#[case::leading_zeros("000612302400000", BORN, &[])]
#[case::fraction_of_zero("612302400000.0", BORN, &[Notice::NumberFormat])]
#[case::long_fraction_of_zero("-612302400000.000", -BORN, &[Notice::NumberFormat])]
#[case::plus("+612302400000", BORN, &[Notice::NumberFormat])]
#[case::trimmed_and_plus("\" +612302400000\"", BORN, &[Notice::Trimmed, Notice::NumberFormat])]
#[case::maybe_seconds_zero("0", 0, &[Notice::MaybeSeconds])]
#[case::maybe_seconds("612302400", 612_302_400, &[Notice::MaybeSeconds])]
#[case::maybe_seconds_negative("-9999999999", -9_999_999_999, &[Notice::MaybeSeconds])]
#[case::not_seconds("10000000000", 10_000_000_000, &[])]
#[case::earliest("-3786825600000", -3_786_825_600_000, &[])]
#[case::tomorrow("1795564800000", 1_795_564_800_000, &[])]
fn numbers_of_milliseconds_are_accepted(#[case] written: &str, #[case] birthts_ms: i64, #[case] notices: &[Notice]) {
    check_accepted(&with_row(&format!("Susan,Lee,{written}")), NAMES, birthts_ms, notices);
}

#[rstest]
#[case::empty("", "birthts is empty")]
#[case::blank("\" \"", "birthts is empty")]
#[case::text("soon", "birthts is \"soon\", which is not a number")]
#[case::iso_date("1989-05-27", "a date")]
#[case::iso_time("1989-05-27T00:00:00Z", "a date")]
#[case::other_date("27/05/1989", "a date")]
#[case::german_date("27.05.1989", "a date")]
#[case::points("612.302.400.000", "a number with separators: U+002E")]
#[case::exponent("6.123e11", "a number with an exponent")]
#[case::exponent_of_a_spreadsheet("6.12E+11", "a number with an exponent")]
#[case::fraction("612302400000.5", "a number with a fraction")]
#[case::bare_point("612302400000.", "a number with separators: U+002E")]
#[case::bare_fraction(".0", "a number with separators")]
#[case::thousands("\"612,302,400,000\"", "separators: U+002C")]
#[case::apostrophes("612'302'400'000", "separators: U+0027")]
#[case::spaces("612 302 400 000", "separators: U+0020 (SPACE)")]
#[case::no_break_spaces("612\u{a0}302\u{a0}400\u{a0}000", "separators: U+00A0 (NO-BREAK SPACE)")]
#[case::underscores("612_302_400_000", "separators: U+005F")]
#[case::beyond_i64("9223372036854775808", "beyond 64 bits")]
#[case::far_beyond_i64("99999999999999999999999999", "beyond 64 bits")]
#[case::two_signs("+-5", "not a number")]
#[case::sign_alone("-", "not a number")]
#[case::arabic_digits("٦١٢", "contains U+0666")]
#[case::full_width_digits("６１２", "contains U+FF16")]
#[case::minus_sign("\u{2212}612302400000", "contains U+2212 (MINUS SIGN)")]
#[case::zero_width_within("6123\u{200b}02400000", "contains U+200B (ZERO WIDTH SPACE)")]
#[case::nul_within("6123\u{0}02400000", "contains U+0000 (NULL)")]
#[case::null("NULL", "not a number")]
#[case::not_a_number("NaN", "not a number")]
#[case::hexadecimal("0x8E90", "not a number")]
#[case::apostrophe_of_a_spreadsheet("'612302400000", "separators: U+0027")]
#[case::error_of_a_spreadsheet("#VALUE!", "\"#VALUE!\"")]
fn other_texts_are_rejected_as_type(#[case] written: &str, #[case] cause: &str) {
    check_message(
        &with_row(&format!("Susan,Lee,{written}")),
        RejectCode::Type,
        Some("birthts"),
        &[cause, "expected a whole number of milliseconds since 1970-01-01 UTC"],
    );
}

#[rstest]
#[case::before_1850("-3786825600001", RejectCode::OutOfRange, "1849-12-31")]
#[case::least("-9223372036854775808", RejectCode::OutOfRange, "-9223372036854775808")]
#[case::after_tomorrow("1795564800001", RejectCode::InFuture, "2026-11-25")]
#[case::greatest("9223372036854775807", RejectCode::InFuture, "9223372036854775807")]
#[case::nanoseconds("612302400000000000", RejectCode::InFuture, "milliseconds")]
fn births_outside_the_range_are_rejected(#[case] written: &str, #[case] code: RejectCode, #[case] cause: &str) {
    check_message(&with_row(&format!("Susan,Lee,{written}")), code, Some("birthts"), &[cause]);
}

#[test]
fn birth_in_the_future_is_evaluated_again_once_it_is_valid() {
    let reject = check_rejected(&with_row("Susan,Lee,1795651200000"), RejectCode::InFuture);
    let at = |ms| Timestamp::from_millisecond(ms).unwrap();
    assert!(!reject.may_change_by(at(1_795_564_799_999)));
    assert!(reject.may_change_by(at(1_795_564_800_000)));
    assert!(
        RowParser::new(Dataset::users())
            .parse(&with_row("Susan,Lee,1795651200000"), at(1_795_564_800_000))
            .is_ok()
    );
    // The reject does not depend on the run; otherwise a full run would record a change.
    let later = RowParser::new(Dataset::users()).parse(&with_row("Susan,Lee,1795651200000"), at(1_795_478_400_001));
    assert_eq!(later, Err(reject));
    // A year outside the calendar is never accepted.
    let reject = check_rejected(&with_row("Susan,Lee,9223372036854775807"), RejectCode::InFuture);
    assert!(!reject.may_change_by(Timestamp::MAX));
    let reject = check_rejected(&with_row("Susan,Lee,soon"), RejectCode::Type);
    assert!(!reject.may_change_by(Timestamp::MAX));
    // A cause that a listing does not show may disappear at any time.
    assert!(Reject::unreadable("access denied").may_change_by(at(0)) && Reject::unstable(4).may_change_by(at(0)));
}

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
#[case::gzip(b"\x1f\x8b\x08\0\0\0\0\0", "gzip")]
#[case::zip(b"PK\x03\x04\x14\0\0\0\x08\0", "zip archive")]
#[case::empty_zip(b"PK\x05\x06\0\0\0\0", "zip archive")]
#[case::empty_zip_64(b"PK\x06\x06\x2c\0\0\0", "zip archive")]
#[case::xlsx(b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0xl/workbook.xml", ".xlsx")]
#[case::ods(b"PK\x03\x04\x14\0\0\0\0\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet", ".ods")]
#[case::docx(b"PK\x03\x04\x14\0\0\0\0\0word/document.xml", "Word")]
#[case::xls(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", ".xls")]
#[case::pdf(b"%PDF-1.7\n", "a PDF")]
#[case::rtf(b"{\\rtf1\\ansi", "RTF")]
#[case::png(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image")]
#[case::jpeg(b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image")]
#[case::gif(b"GIF89a\x01\0", "a GIF image")]
#[case::webp(b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image")]
#[case::tiff(b"II*\0\x08\0\0\0", "a TIFF image")]
#[case::bmp(b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0", "a BMP image")]
#[case::heic(b"\0\0\0\x18ftypheic", "a HEIC image")]
#[case::avif(b"\0\0\0\x20ftypavif", "an AVIF image")]
#[case::apple_double(b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "AppleDouble")]
#[case::ds_store(b"\0\0\0\x01Bud1", ".DS_Store")]
#[case::html(b"<!DOCTYPE html>\n<html><head>", "an HTML page")]
#[case::html_after_white_space(b"\xef\xbb\xbf\n  <html lang=\"en\">", "an HTML page")]
#[case::html_in_upper_case(b"<HTML><BODY>", "an HTML page")]
#[case::xml(b"<?xml version=\"1.0\"?><users/>", "XML")]
#[case::error_of_a_store(
    b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
    "error response of an object store"
)]
#[case::svg(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "an SVG image")]
#[case::json(b"{\"first_name\":\"Susan\"}", "JSON")]
#[case::json_in_lines(b"{\"first_name\":\"Susan\"}\n{\"first_name\":\"Susan\"}\n", "JSON")]
#[case::json_list(b"[\n  {\"first_name\":\"Susan\"}]", "JSON")]
#[case::git_lfs(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "a Git LFS pointer")]
#[case::git_annex(b"/annex/objects/SHA256E-s1--00.csv\n", "git-annex")]
#[case::sqlite(b"SQLite format 3\0", "SQLite")]
#[case::parquet(b"PAR1\x15\x04", "Parquet")]
#[case::arrow(b"ARROW1\0\0\xff\xff\xff\xff", "Arrow")]
#[case::arrow_stream(b"\xff\xff\xff\xff\x78\x01\0\0\x10\0\0\0", "Arrow")]
#[case::avro(b"Obj\x01\x04\x16", "Avro")]
#[case::orc(b"ORC\x0a\x0b", "ORC")]
#[case::duckdb(b"\x01\x02\x03\x04\x05\x06\x07\x08DUCK\x40\0", "DuckDB")]
#[case::zstandard(b"\x28\xb5\x2f\xfd\x04", "Zstandard")]
#[case::bzip2(b"BZh91AY&SY", "bzip2")]
#[case::xz(b"\xfd7zXZ\0\0\x04", "xz")]
#[case::seven_zip(b"7z\xbc\xaf\x27\x1c\0\x04", "7z")]
#[case::rar(b"Rar!\x1a\x07\x01\0", "RAR")]
#[case::executable(b"\x7fELF\x02\x01", "ELF")]
#[case::merge_conflict(b"<<<<<<< HEAD\nfirst_name,last_name,birthts\n", "merge conflicts")]
#[case::private_key(b"-----BEGIN PRIVATE KEY-----\n", "PEM")]
#[case::nul_bytes(&[0; 100], "only NUL bytes")]
fn other_formats_are_recognized(#[case] source: &[u8], #[case] format: &str) {
    check_message(source, RejectCode::NotCsv, None, &[format]);
}

#[test]
fn tar_archive_is_recognized() {
    let mut source = vec![0; 512];
    source[..5].copy_from_slice(b"1.csv");
    source[257..262].copy_from_slice(b"ustar");
    check_message(&source, RejectCode::NotCsv, None, &["a tar archive", "decompress it"]);
}

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

#[rstest]
#[case::latin_1(
    b"first_name,last_name,birthts\nJos\xe9,Lee,612302400000\n",
    32,
    "the byte 0xE9 is not UTF-8; in ISO 8859-1 it is \"é\""
)]
#[case::windows_1252(b"first_name,last_name,birthts\nJos\x92,Lee,612302400000\n", 32, "the byte 0x92 is not UTF-8")]
#[case::cut_within_a_character(b"first_name,last_name,birthts\nJos\xc3", 32, "ends within a character")]
#[case::surrogate(b"first_name,last_name,birthts\n\xed\xa0\x80,Lee,1\n", 29, "the byte 0xED is not UTF-8")]
#[case::overlong(b"first_name,last_name,birthts\n\xc0\xaf,Lee,1\n", 29, "the byte 0xC0 is not UTF-8")]
#[case::utf_16_little_endian(b"\xff\xfef\0i\0r\0s\0t\0", 0, "UTF-16 (little-endian, with a byte order mark)")]
#[case::utf_16_big_endian(b"\xfe\xff\0f\0i\0r\0s\0t", 0, "UTF-16 (big-endian, with a byte order mark)")]
#[case::utf_16_without_mark(b"f\0i\0r\0s\0t\0", 0, "UTF-16 (little-endian)")]
#[case::utf_16_big_endian_without_mark(b"\0f\0i\0r\0s\0t", 0, "UTF-16 (big-endian)")]
#[case::utf_32_little_endian(b"\xff\xfe\0\0f\0\0\0", 0, "UTF-32 (little-endian, with a byte order mark)")]
#[case::utf_32_big_endian(b"\0\0\xfe\xff\0\0\0f", 0, "UTF-32 (big-endian, with a byte order mark)")]
#[case::utf_32_without_mark(b"f\0\0\0i\0\0\0r\0\0\0s\0\0\0", 0, "UTF-32 (little-endian)")]
fn other_encoding_is_rejected_with_its_byte_offset(#[case] source: &[u8], #[case] byte_offset: u64, #[case] cause: &str) {
    let reject = check_rejected(source, RejectCode::Encoding);
    assert_eq!(reject.position.map(|position| position.byte_offset), Some(byte_offset));
    assert!(reject.reason.found.contains(cause), "{reject:?}");
}

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
