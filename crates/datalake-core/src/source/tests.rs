//! Every line of the input rules about a user's CSV: a case is named by its code, and by what else tells it from the others of that code.

use rstest::rstest;

use super::*;

/// 2026-11-24T00:00:00Z
const RUN_AT: i64 = 1_795_478_400;

fn parse(bytes: &[u8]) -> Result<Accepted, Reject> {
    SourceParser::new().parse(bytes, Timestamp::from_second(RUN_AT).unwrap())
}

#[track_caller]
fn check_accepted(bytes: &[u8], [first_name, last_name]: [&str; 2], birthts_ms: i64, notices: &[Notice]) {
    let accepted = parse(bytes).unwrap_or_else(|reject| panic!("{reject:?}: {:?}", String::from_utf8_lossy(bytes)));
    let found = (
        &*accepted.record.first_name,
        &*accepted.record.last_name,
        accepted.record.birth.as_ms(),
        accepted.notices.as_slice(),
    );
    assert_eq!(
        found,
        (first_name, last_name, birthts_ms, notices),
        "source: {:?}",
        String::from_utf8_lossy(bytes)
    );
}

#[track_caller]
fn check_rejected(bytes: &[u8], code: RejectCode) -> Reject {
    let reject = parse(bytes).expect_err("must be rejected");
    assert_eq!(reject.code, code, "source: {:?}, {reject:?}", String::from_utf8_lossy(bytes));
    assert!(reject.excerpt.iter().all(|text| text.len() <= Reject::EXCERPT_BYTES_MAX));
    reject
}

const NAMES: [&str; 2] = ["Susan", "Lee"];
const BORN: i64 = 612_302_400_000;

#[rstest]
#[case::sample(b"first_name, last_name, birthts\nSusan, Lee, 612302400000\n")]
#[case::spaces(b"  first_name ,last_name   , birthts\n   Susan ,  Lee ,612302400000   \n")]
#[case::byte_order_mark(b"\xef\xbb\xbffirst_name,last_name,birthts\nSusan,Lee,612302400000\n")]
#[case::crlf(b"first_name,last_name,birthts\r\nSusan,Lee,612302400000\r\n")]
#[case::lone_cr(b"first_name,last_name,birthts\rSusan,Lee,612302400000\r")]
#[case::no_final_newline(b"first_name,last_name,birthts\nSusan,Lee,612302400000")]
#[case::reordered(b"birthts,last_name,first_name\n612302400000,Lee,Susan\n")]
#[case::header_in_another_case(b"First_Name,LAST_NAME,BirthTS\nSusan,Lee,612302400000\n")]
#[case::quoted(b"\"first_name\",last_name,birthts\n\"Susan\", \"Lee\" ,\"612302400000\"\n")]
#[case::extra_columns(b"id,first_name,note,last_name,birthts,\n7,Susan,,Lee,612302400000,x\n")]
#[case::blank_lines(b"\n  \nfirst_name,last_name,birthts\n\n \nSusan,Lee,612302400000\n\n   \n\n")]
fn accepted(#[case] source: &[u8]) {
    check_accepted(source, NAMES, BORN, &[]);
}

#[rstest]
#[case::quoted_comma("\"Lee, Jr\"", "Lee, Jr")]
#[case::quoted_newline("\"Lee\nSmith\"", "Lee\nSmith")]
#[case::quoted_crlf("\"Lee\r\nSmith\"", "Lee\r\nSmith")]
#[case::doubled_quotes("\"Lee \"\"the Bee\"\"\"", "Lee \"the Bee\"")]
#[case::spaces_within_quotes("\" Lee \"", " Lee ")]
#[case::formula("=cmd()", "=cmd()")]
#[case::any_script("李 小龙", "李 小龙")]
fn names(#[case] written: &str, #[case] read: &str) {
    check_accepted(
        format!("first_name,last_name,birthts\nSusan,{written},612302400000\n").as_bytes(),
        ["Susan", read],
        BORN,
        &[],
    );
}

#[rstest]
#[case::integer("612302400000", BORN, &[])]
#[case::negative("-612302400000", -BORN, &[])]
#[case::birthts_spelling_fraction_of_zero("612302400000.0", BORN, &[Notice::BirthtsSpelling])]
#[case::birthts_spelling_plus("+612302400000", BORN, &[Notice::BirthtsSpelling])]
#[case::birthts_maybe_seconds_zero("0", 0, &[Notice::BirthtsMaybeSeconds])]
#[case::birthts_maybe_seconds("612302400", 612_302_400, &[Notice::BirthtsMaybeSeconds])]
#[case::birthts_maybe_seconds_negative("-9999999999", -9_999_999_999, &[Notice::BirthtsMaybeSeconds])]
#[case::not_seconds("10000000000", 10_000_000_000, &[])]
#[case::earliest("-3786825600000", -3_786_825_600_000, &[])]
#[case::tomorrow("1795564800000", 1_795_564_800_000, &[])]
fn birthts_accepted(#[case] written: &str, #[case] birthts_ms: i64, #[case] notices: &[Notice]) {
    let source = format!("first_name,last_name,birthts\nSusan,Lee,{written}\n");
    check_accepted(source.as_bytes(), NAMES, birthts_ms, notices);
}

#[rstest]
#[case::birthts_type_empty("", RejectCode::BirthtsType)]
#[case::birthts_type_text("soon", RejectCode::BirthtsType)]
#[case::birthts_type_iso_date("1989-05-27", RejectCode::BirthtsType)]
#[case::birthts_type_exponent("6.123e11", RejectCode::BirthtsType)]
#[case::birthts_type_fraction("612302400000.5", RejectCode::BirthtsType)]
#[case::birthts_type_bare_point("612302400000.", RejectCode::BirthtsType)]
#[case::birthts_type_thousands("\"612,302,400,000\"", RejectCode::BirthtsType)]
#[case::birthts_type_apostrophes("612'302'400'000", RejectCode::BirthtsType)]
#[case::birthts_type_beyond_i64("9223372036854775808", RejectCode::BirthtsType)]
#[case::birthts_type_two_signs("+-5", RejectCode::BirthtsType)]
#[case::birthts_type_other_digits("٦١٢", RejectCode::BirthtsType)]
#[case::birthts_range_before_1850("-3786825600001", RejectCode::BirthtsRange)]
#[case::birthts_range_least("-9223372036854775808", RejectCode::BirthtsRange)]
#[case::birthts_future_after_tomorrow("1795564800001", RejectCode::BirthtsFuture)]
#[case::birthts_future_greatest("9223372036854775807", RejectCode::BirthtsFuture)]
fn birthts_rejected(#[case] written: &str, #[case] code: RejectCode) {
    check_rejected(format!("first_name,last_name,birthts\nSusan,Lee,{written}\n").as_bytes(), code);
}

#[rstest]
#[case::repeated_row(b"first_name,last_name,birthts\nSusan,Lee,612302400000\n Susan, \"Lee\",612302400000\n")]
#[case::repeated_row_often(b"first_name,last_name,birthts\nSusan,Lee,612302400000\nSusan,Lee,612302400000\nSusan,Lee,612302400000")]
fn mended_repeated_row(#[case] source: &[u8]) {
    check_accepted(source, NAMES, BORN, &[Notice::RepeatedRow]);
}

#[rstest]
#[case::multiple_rows(b"first_name,last_name,birthts\nSusan,Lee,612302400000\nAaron,Fox,1\n", RejectCode::MultipleRows)]
#[case::multiple_rows_by_an_extra_column(b"first_name,last_name,birthts,n\nSusan,Lee,1,1\nSusan,Lee,1,2\n", RejectCode::MultipleRows)]
#[case::empty_no_bytes(b"", RejectCode::Empty)]
#[case::empty_header_only(b"first_name,last_name,birthts\n", RejectCode::Empty)]
#[case::empty_blank_lines_only(b"\n  \n\r\n", RejectCode::Empty)]
#[case::empty_byte_order_mark_only(b"\xef\xbb\xbf", RejectCode::Empty)]
#[case::missing_column(b"first_name,birthts\nSusan,1\n", RejectCode::MissingColumn)]
#[case::duplicate_column(b"first_name,last_name,FIRST_NAME,birthts\na,b,c,1\n", RejectCode::DuplicateColumn)]
#[case::no_header(b"Susan,Lee,612302400000\n", RejectCode::NoHeader)]
#[case::delimiter_semicolon(b"first_name;last_name;birthts\nSusan;Lee;612302400000\n", RejectCode::Delimiter)]
#[case::delimiter_tab(b"first_name\tlast_name\tbirthts\nSusan\tLee\t612302400000\n", RejectCode::Delimiter)]
#[case::field_count_short(b"first_name,last_name,birthts\nSusan,Lee\n", RejectCode::FieldCount)]
#[case::field_count_long(b"first_name,last_name,birthts\nSusan,Lee,1,2\n", RejectCode::FieldCount)]
#[case::field_count_long_repeated(b"first_name,last_name,birthts\nSusan,Lee,1\nSusan,Lee,1,\n", RejectCode::FieldCount)]
#[case::quote_unclosed(b"first_name,last_name,birthts\n\"Susan,Lee,612302400000\n", RejectCode::Quote)]
#[case::quote_text_after(b"first_name,last_name,birthts\n\"Susan\"x,Lee,612302400000\n", RejectCode::Quote)]
#[case::delimiter_vertical_bar(b"first_name|last_name|birthts\nSusan|Lee|612302400000\n", RejectCode::Delimiter)]
#[case::delimiter_quoted_semicolons(
    b"\"first_name\";\"last_name\";\"birthts\"\n\"Susan\";\"Lee\";\"612302400000\"\n",
    RejectCode::Delimiter
)]
#[case::delimiter_quoted_tabs(
    b"\n\"first_name\"\t\"last_name\"\t\"birthts\"\r\n\"Susan\"\t\"Lee\"\t\"1\"\r\n",
    RejectCode::Delimiter
)]
#[case::delimiter_semicolons_and_quoted_values(
    b"first_name;last_name;birthts\n\"Susan\";\"Lee, Jr\";612302400000\n",
    RejectCode::Delimiter
)]
#[case::delimiter_in_one_quoted_line(b"\"first_name;last_name;birthts\"\n\"Susan;Lee;1\"\n", RejectCode::Delimiter)]
#[case::missing_column_semicolons_beside_commas(b"first_name;x,last_name,birthts\nSusan,Lee,1\n", RejectCode::MissingColumn)]
#[case::quote_unclosed_in_the_header(b"\"first_name;last_name;birthts\nSusan;Lee;1\n", RejectCode::Quote)]
#[case::quote_in_a_plain_value(b"first_name,last_name,birthts\nSu\"san,Lee,612302400000\n", RejectCode::Quote)]
#[case::encoding_latin_1(b"first_name,last_name,birthts\nJos\xe9,Lee,612302400000\n", RejectCode::Encoding)]
#[case::encoding_utf_16_little_endian(b"\xff\xfef\0i\0r\0s\0t\0", RejectCode::Encoding)]
#[case::encoding_utf_16_big_endian(b"\xfe\xff\0f\0i\0r\0s\0t", RejectCode::Encoding)]
#[case::encoding_utf_16_without_mark(b"f\0i\0r\0s\0t\0", RejectCode::Encoding)]
#[case::control_character_nul(b"first_name,last_name,birthts\nSu\0san,Lee,612302400000\n", RejectCode::ControlCharacter)]
#[case::control_character_tab(b"first_name,last_name,birthts\nSu\tsan,Lee,612302400000\n", RejectCode::ControlCharacter)]
#[case::control_character_escape(b"first_name,last_name,birthts\nSusan,L\x1b[31mee,612302400000\n", RejectCode::ControlCharacter)]
#[case::control_character_c1(b"first_name,last_name,birthts\nSusan,L\xc2\x85ee,612302400000\n", RejectCode::ControlCharacter)]
#[case::name_empty(b"first_name,last_name,birthts\n,Lee,612302400000\n", RejectCode::NameEmpty)]
#[case::name_empty_but_blanks(b"first_name,last_name,birthts\nSusan,\"  \",612302400000\n", RejectCode::NameEmpty)]
fn rejected(#[case] source: &[u8], #[case] code: RejectCode) {
    check_rejected(source, code);
}

#[test]
fn name_too_long() {
    let with_name = |length: usize| format!("first_name,last_name,birthts\n{},Lee,{BORN}\n", "a".repeat(length));
    check_accepted(with_name(1_000).as_bytes(), [&"a".repeat(1_000), "Lee"], BORN, &[]);
    check_rejected(with_name(1_001).as_bytes(), RejectCode::NameTooLong);
}

#[test]
fn too_large() {
    let row = format!("first_name,last_name,birthts\nSusan,Lee,{BORN}\n");
    let of_size = |size: usize| format!("{row}{}", "\n".repeat(size - row.len()));
    check_accepted(of_size(64 * 1024).as_bytes(), NAMES, BORN, &[]);
    check_rejected(of_size(64 * 1024 + 1).as_bytes(), RejectCode::TooLarge);
}

#[test]
fn places_and_excerpts() {
    let reject = check_rejected(
        b"\xef\xbb\xbffirst_name,last_name,birthts\r\nSusan,Lee, soon\r\n",
        RejectCode::BirthtsType,
    );
    assert_eq!(
        reject.place,
        Some(Place {
            line: Some(2),
            column: Some(12),
            byte_offset: 44
        })
    );
    assert_eq!(reject.excerpt.as_deref(), Some("Susan,Lee, soon··"));
    assert_eq!(reject.excerpt_offset, Some(11));

    let reject = check_rejected(b"first_name,last_name,birthts\nJos\xe9,Lee,1\n", RejectCode::Encoding);
    assert_eq!(
        reject.place,
        Some(Place {
            line: Some(2),
            column: Some(4),
            byte_offset: 32
        })
    );

    let reject = check_rejected(b"first_name,last_name,birthts\r\"a\nb\",\"\0\",1", RejectCode::ControlCharacter);
    assert_eq!(
        reject.place,
        Some(Place {
            line: Some(3),
            column: Some(5),
            byte_offset: 36
        })
    );
}

#[test]
fn another_delimiter_is_named() {
    let reject = check_rejected(
        b"\n \"first_name\";\"last_name\";\"birthts\"\n\"Susan\";\"Lee\";1\n",
        RejectCode::Delimiter,
    );
    assert!(reject.message.contains("semicolons; separate them by commas"), "{}", reject.message);
    assert_eq!(reject.place.map(|place| (place.line, place.byte_offset)), Some((Some(2), 2)));
}

#[test]
fn buffers_are_reused_without_a_trace() {
    let mut parser = SourceParser::new();
    let run_at = Timestamp::from_second(RUN_AT).unwrap();
    let long = format!("first_name,last_name,birthts\n{},Lee,1\n", "a".repeat(900));
    assert!(parser.parse(long.as_bytes(), run_at).is_ok());
    assert!(parser.parse(b"first_name,last_name,birthts\n\"unclosed", run_at).is_err());
    let accepted = parser
        .parse(b"first_name, last_name, birthts\nSusan, Lee, 612302400000\n", run_at)
        .unwrap();
    assert_eq!((&*accepted.record.first_name, &*accepted.record.last_name), ("Susan", "Lee"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_get_a_verdict(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let _verdict = parse(&bytes);
    }

    #[test]
    fn any_text_of_csv_characters_gets_a_verdict(text in "[a\",;\r\n\t é\0]{0,60}") {
        let _verdict = parse(format!("first_name,last_name,birthts\n{text}").as_bytes());
    }

    /// Whatever a name holds, quoting it brings it back.
    #[test]
    fn quoted_names_round_trip(name in "[^\\p{Cc}]{1,40}") {
        proptest::prop_assume!(!name.trim().is_empty());
        let source = format!("first_name,last_name,birthts\n\"{}\",Lee,1\n", name.replace('"', "\"\""));
        let accepted = parse(source.as_bytes()).unwrap();
        proptest::prop_assert_eq!(&*accepted.record.first_name, name);
    }
}
