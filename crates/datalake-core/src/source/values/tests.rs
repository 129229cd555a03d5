//! Values and sources as other datasets than the users declare them.

use jiff::Timestamp;
use proptest::prelude::*;
use rstest::rstest;

use crate::{
    dataset::{Dataset, Value},
    reject::{Notice, Reject, RejectCode},
    source::{KeyParser, ParsedRow, RowParser},
};

/// 2026-11-24T00:00:00Z
const RUN_AT: i64 = 1_795_478_400;

fn run_at() -> Timestamp {
    Timestamp::from_second(RUN_AT).unwrap()
}

#[track_caller]
fn parse(declaration: &str, source: &[u8]) -> Result<ParsedRow, Reject> {
    let text = format!("entity = \"order\"\nsource.key = \"orders/{{id}}.csv\"\n{declaration}");
    let dataset = Dataset::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    RowParser::new(&dataset).parse(source, run_at())
}

/// The value of a single column.
#[track_caller]
fn value(column: &str, text: &str) -> Result<(Option<Value>, Vec<Notice>), Reject> {
    let source = format!("x\n\"{}\"\n", text.replace('"', "\"\""));
    let row = parse(&format!("columns.x = {column}\n"), source.as_bytes())?;
    Ok((row.values.into_iter().next().flatten(), row.notices))
}

#[rstest]
#[case::string("\"string\"", "a b", "a b", &[])]
#[case::integer("\"integer\"", "-42", "-42", &[])]
#[case::integer_with_fraction("\"integer\"", "42.0", "42", &[Notice::NumberFormat])]
#[case::number("\"number\"", "0.10", "0.1", &[])]
#[case::exponent("\"number\"", "1e-3", "0.001", &[])]
#[case::plus("\"number\"", "+1.5", "1.5", &[Notice::NumberFormat])]
#[case::negative_zero("\"number\"", "-0.0", "0", &[])]
#[case::boolean("\"boolean\"", "TRUE", "true", &[])]
#[case::boolean_digit("\"boolean\"", "0", "false", &[])]
#[case::date("\"date\"", "2024-02-29", "2024-02-29", &[])]
#[case::date_format("{ type = \"date\", format = \"%d.%m.%Y\" }", "29.02.2024", "2024-02-29", &[])]
#[case::early_year("{ type = \"date\", format = \"%d.%m.%Y\" }", "1.2.0019", "0019-02-01", &[])]
#[case::datetime("\"datetime\"", "2026-01-01T00:00:00.5+01:00", "2025-12-31T23:00:00.5Z", &[])]
#[case::nanoseconds("\"datetime\"", "1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z", &[Notice::NumberFormat])]
#[case::epoch_s("\"epoch_s\"", "612302400", "612302400", &[])]
#[case::epoch_ms("\"epoch_ms\"", "612302400", "612302400", &[Notice::MaybeSeconds])]
#[case::allowed("{ type = \"integer\", enum = [1, 2] }", "2", "2", &[])]
#[case::at_the_bounds("{ type = \"number\", minimum = 1, maximum = 1 }", "1.0", "1", &[])]
#[case::trimmed("\"string\"", " a\u{a0}", "a", &[Notice::Trimmed])]
fn value_is_read_as_its_type(#[case] column: &str, #[case] text: &str, #[case] expected: &str, #[case] notices: &[Notice]) {
    let (value, found) = value(column, text).unwrap_or_else(|reject| panic!("{reject:?}"));
    assert_eq!((value.unwrap().to_string().as_str(), found.as_slice()), (expected, notices));
}

#[rstest]
#[case::empty("\"string\"", "", RejectCode::ValueEmpty, &["x is empty", "expected a value", "write the value; it is required"])]
#[case::control_character("\"string\"", "a\u{7}b", RejectCode::ControlCharacter, &["U+0007", "a value without control characters"])]
#[case::bytes("{ type = \"string\", maxBytes = 3 }", "éé", RejectCode::ValueTooLong, &["4 bytes", "at most 3 bytes"])]
#[case::min_length("{ type = \"string\", minLength = 3 }", "éé", RejectCode::Constraint, &["2 characters", "minLength", "at least 3"])]
#[case::max_length("{ type = \"string\", maxLength = 1 }", "éé", RejectCode::Constraint, &["2 characters", "maxLength", "at most 1"])]
#[case::pattern("{ type = \"string\", pattern = \"[A-Z]{2}|x\" }", "xy", RejectCode::Constraint, &["\"xy\"", "the pattern", "[A-Z]{2}|x"])]
#[case::enumeration("{ type = \"string\", enum = [\"new\", \"paid\"] }", "lost", RejectCode::Constraint, &["\"lost\"", "the enum", "one of \"new\", \"paid\""])]
#[case::integer_enumeration("{ type = \"integer\", enum = [1, 2] }", "3", RejectCode::Constraint, &["one of \"1\", \"2\""])]
#[case::integer_empty("\"integer\"", "", RejectCode::Type, &["x is empty", "a whole number", "write the value"])]
#[case::integer_fraction("\"integer\"", "1.5", RejectCode::Type, &["a fraction", "round it to a whole number"])]
#[case::number_text("\"number\"", "many", RejectCode::Type, &["\"many\"", "not a number", "a number, like 1.5"])]
#[case::number_comma("\"number\"", "1,5", RejectCode::Type, &["separators: \",\"", "decimalChar"])]
#[case::not_a_number("\"number\"", "NaN", RejectCode::Type, &["not a number"])]
#[case::infinite("\"number\"", "1e999", RejectCode::Type, &["beyond 64 bits"])]
#[case::boolean("\"boolean\"", "yes", RejectCode::Type, &["neither true nor false"])]
#[case::date("\"date\"", "2026-02-30", RejectCode::Type, &["a day, like 2026-11-24"])]
#[case::date_format("{ type = \"date\", format = \"%d.%m.%Y\" }", "2026-02-03", RejectCode::Type, &["the format \"%d.%m.%Y\""])]
#[case::no_day("\"date\"", "2026-02-30", RejectCode::Type, &["which is no day of the calendar", "correct the day"])]
#[case::two_digits_of_a_year("{ type = \"date\", format = \"%d.%m.%Y\" }", "18.05.19", RejectCode::Type, &["whose year has fewer than four digits", "write the year with four digits"])]
#[case::no_day_of_the_format("{ type = \"date\", format = \"%d.%m.%Y\" }", "31.02.2025", RejectCode::Type, &["which is no day of the calendar", "correct the day"])]
#[case::datetime("\"datetime\"", "2026-02-03 12:00", RejectCode::Type, &["does not match the format", "offset from UTC"])]
#[case::no_offset("\"datetime\"", "2026-02-03T12:00:00", RejectCode::Type, &["which has no offset from UTC", "add Z or an offset such as +01:00"])]
#[case::one_character("{ type = \"string\", minLength = 2 }", "a", RejectCode::Constraint, &["x has 1 character,", "at least 2 characters"])]
#[case::optional_text("{ type = \"number\", required = false }", "n/a", RejectCode::Type, &["write a number, or leave the field empty"])]
#[case::optional_number("{ type = \"integer\", required = false }", "1.5", RejectCode::Type, &["; round it to a whole number"])]
#[case::optional_blank("{ type = \"string\", required = false }", "\u{2800}", RejectCode::ValueEmpty, &["cannot be seen", "write the value, or leave the field empty"])]
#[case::epoch_s("\"epoch_s\"", "1.5", RejectCode::Type, &["whole seconds"])]
#[case::epoch_empty("\"epoch_s\"", "", RejectCode::Type, &["write the time"])]
#[case::below("{ type = \"number\", minimum = 0 }", "-0.1", RejectCode::OutOfRange, &["x is \"-0.1\", below the minimum", "at least 0"])]
#[case::above("{ type = \"integer\", maximum = 9 }", "10", RejectCode::OutOfRange, &["above the maximum", "at most 9"])]
#[case::day_above("{ type = \"date\", maximum = \"2026-01-01\" }", "2026-01-02", RejectCode::OutOfRange, &["at most 2026-01-01"])]
#[case::epoch_above("{ type = \"epoch_s\", maximum = \"1970-01-02\" }", "86401", RejectCode::OutOfRange, &["1970-01-02", "at most 86400", "seconds"])]
#[case::no_date("\"epoch_ms\"", "9223372036854775807", RejectCode::OutOfRange, &["0000-01-01 to 9999-12-30"])]
#[case::future_day("{ type = \"date\", maximum = \"run\" }", "2026-11-25", RejectCode::InFuture, &["not after the run"])]
#[case::future_time("{ type = \"datetime\", maximum = \"run-90m\" }", "2026-11-23T22:30:00.000001Z", RejectCode::InFuture, &["at least 90 minutes before the run"])]
fn other_text_is_rejected_with_code_and_column(#[case] column: &str, #[case] text: &str, #[case] code: RejectCode, #[case] parts: &[&str]) {
    let reject = value(column, text).expect_err(text);
    let message = reject.reason.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!((reject.code, reject.column_name.as_deref()), (code, Some("x")), "{message}");
    assert!(reject.position.is_some() && reject.excerpt.is_some(), "{reject:?}");
}

#[test]
fn day_in_the_future_is_evaluated_again_once_it_is_valid() {
    let reject = value("{ type = \"date\", maximum = \"run+24h\" }", "2026-11-26").unwrap_err();
    let second = |text: &str| text.parse::<Timestamp>().unwrap();
    assert!(!reject.may_change_by(second("2026-11-24T23:59:59Z")));
    assert!(reject.may_change_by(second("2026-11-25T00:00:00Z")));
}

#[test]
fn missing_values_are_null_or_rejected() {
    let optional = "missingValues = [\"\", \"NA\"]\ncolumns.x = { type = \"integer\", required = false }\ncolumns.y = \"string\"\n";
    for text in ["", "NA", "\" \""] {
        let row = parse(optional, format!("x,y\n{text},1\n").as_bytes()).unwrap();
        assert_eq!(row.values, [None, Some(Value::Text("1".into()))], "{text}");
    }
    assert_eq!(parse(optional, b"x,y\nna,1\n").unwrap_err().code, RejectCode::Type);
    let reject = parse(optional, b"x,y\n1,NA\n").unwrap_err();
    assert_eq!((reject.code, reject.column_name.as_deref()), (RejectCode::ValueEmpty, Some("y")));
    assert!(
        reject.reason.found.contains("\"NA\", which means that there is no value"),
        "{reject:?}"
    );
    let other = "missingValues = [\"NA\"]\ncolumns.x = { type = \"string\", required = false }\n";
    let remedy = parse(other, b"x\n\"\"\n").unwrap_err().reason.remedy;
    assert_eq!(&*remedy, "write the value, or one of the declared missingValues (NA)");
}

#[test]
fn optional_column_that_the_header_lacks_is_null() {
    let columns = "columns = { x = { type = \"integer\", required = false }, y = \"string\" }\n";
    let value = Some(Value::Text("1".into()));
    for source in [&b"y\n1\n"[..], b"y,other\n1,2\n", b"y\n1\n1\n"] {
        assert_eq!(parse(columns, source).unwrap().values, [None, value.clone()]);
    }
    assert_eq!(parse(columns, b"y\n1\n2\n").unwrap_err().code, RejectCode::MultipleRows);
    let missing = |columns: &str, source: &[u8]| {
        let reject = parse(columns, source).unwrap_err();
        (reject.code, reject.column_name, reject.reason.to_string())
    };
    let (code, column, message) = missing(columns, b"x\n1\n");
    assert_eq!((code, column.as_deref()), (RejectCode::MissingColumn, Some("y")), "{message}");
    assert_eq!(missing(columns, b"other\n1\n").0, RejectCode::NoHeader);
    // A typing error is no missing value.
    let coupon = "columns = { coupon = { type = \"string\", required = false }, y = \"string\" }\n";
    let (code, column, message) = missing(coupon, b"y,coupons\n1,a\n");
    assert_eq!((code, column.as_deref()), (RejectCode::MissingColumn, Some("coupon")), "{message}");
    assert!(message.contains("the nearest is \"coupons\""), "{message}");
    let gardener = "columns = { gardener = { type = \"string\", required = false }, y = \"string\" }\n";
    assert_eq!(missing(gardener, b"y,gardner\n1,a\n").0, RejectCode::MissingColumn);
    for (name, header) in [("phone2", "phone3"), ("x", "z"), ("%", "名"), ("site", "size_mm")] {
        let columns = format!("columns = {{ a = {{ type = \"string\", source = \"{name}\", required = false }}, y = \"string\" }}\n");
        let row = parse(&columns, format!("y,{header}\n1,2\n").as_bytes()).unwrap();
        assert_eq!(row.values, [None, value.clone()], "{name} {header}");
    }
}

#[test]
fn names_with_other_letters_than_ascii_are_compared_without_case() {
    let columns =
        "columns = { n = { type = \"string\", source = \"Näme\" }, age = { type = \"string\", source = \"年齢\", required = false } }\n";
    let row = parse(columns, "NÄME,名前\na,b\n".as_bytes()).unwrap();
    assert_eq!(row.values, [Some(Value::Text("a".into())), None]);
    let reason = parse(columns, "Nämee,x\na,b\n".as_bytes()).unwrap_err().reason;
    assert_eq!(&*reason.found, "the header has no column Näme; the nearest is \"Nämee\"");
}

#[test]
fn header_with_tabs_is_readable() {
    let reject = parse("csv.delimiter = \"\\t\"\ncolumns = { x = \"string\", y = \"string\" }\n", b"").unwrap_err();
    assert!(reject.reason.to_string().contains("the header x<TAB>y and one row"), "{reject:?}");
}

#[test]
fn encoding_can_be_declared() {
    let reject = parse("columns.x = \"string\"\n", b"x\nJos\xe9\n").unwrap_err();
    assert!(
        reject.reason.remedy.contains("`encoding = \"windows-1252\"` in [csv]"),
        "{reject:?}"
    );
}

const GERMAN: &str = r#"
[csv]
delimiter = ";"
encoding = "windows-1252"
decimalChar = ","
groupChar = "."
extra_columns = "reject"
[columns]
name = { type = "string", source = "Straße" }
price = { type = "number", source = "Preis €" }
"#;

#[test]
fn dialect_is_the_declared_one() {
    let row = parse(GERMAN, b"Preis \x80;Stra\xdfe\r\n\"1.234,50\"; \"K\xf6lner; Str.\" \r\n").unwrap();
    let expected = [Some(Value::Text("Kölner; Str.".into())), Some(Value::Number(1_234.5))];
    assert_eq!((row.values.as_slice(), row.notices.as_slice()), (&expected[..], &[][..]));
    let tab = "csv.delimiter = \"\\t\"\ncolumns = { x = \"string\", y = \"string\" }\n";
    let row = parse(tab, b"x\ty\n\t\n a \t\"b c\"\n").unwrap();
    assert_eq!(row.values, ["a", "b c"].map(|text| Some(Value::Text(text.into()))));
}

#[track_caller]
fn check_german(source: &[u8], code: RejectCode, byte_offset: u64, parts: &[&str]) {
    let reject = parse(GERMAN, source).expect_err("must be rejected");
    let message = reject.reason.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!(reject.code, code, "{message}");
    assert_eq!(
        reject.position.map(|position| position.byte_offset),
        Some(byte_offset),
        "{reject:?}"
    );
}

#[test]
fn rejects_of_another_dialect_have_its_words_and_positions() {
    check_german(
        b"Stra\xdfe,Preis \x80\na,1\n",
        RejectCode::Delimiter,
        0,
        &["separated by commas", "semicolons", "choose the semicolon"],
    );
    check_german(
        b"Stra\xdfe;Preis \x80;x\na;1;2\n",
        RejectCode::Constraint,
        15,
        &["\"x\"", "extra_columns", "Straße;Preis €"],
    );
    check_german(
        b"Stra\xdfe;Preis \x80\n\xe4\xe4;viel\n",
        RejectCode::Type,
        18,
        &["price is \"viel\"", "a number, like 1,5"],
    );
    check_german(b"Stra\xdfe;Preis \x80\n\xe4\x81;1\n", RejectCode::ControlCharacter, 16, &["U+0081"]);
    check_german(
        b"Stra\xdfe;Preis \x80\na;1;;\n",
        RejectCode::FieldCount,
        15,
        &["remove the semicolons at its end"],
    );
    check_german(
        b"Stra\xdfe;Preis \x80\na;1\nb;1\n",
        RejectCode::MultipleRows,
        19,
        &["in Straße", "a file contains one order"],
    );
    check_german(
        "\u{feff}Straße;Preis €\na;1\n".as_bytes(),
        RejectCode::Encoding,
        0,
        &["byte order mark of UTF-8", "windows-1252"],
    );
    check_german(
        b"Strasse;Preis \x80\na;1\n",
        RejectCode::MissingColumn,
        0,
        &["no column Straße", "the nearest is \"Strasse\""],
    );
    let reject = parse(GERMAN, b"").unwrap_err();
    assert!(
        reject.reason.to_string().contains("the header Straße;Preis € and one row"),
        "{reject:?}"
    );
}

#[test]
fn values_in_the_key_are_typed() {
    let text = "source = { key = \"photos/{camera}_{taken}.jpg\", format = \"none\" }\n[columns]\ncamera = { type = \"string\", enum = [\"north\", \
                \"south\"] }\ntaken = { type = \"date\", format = \"%Y%m%d\", maximum = \"run\" }\n";
    let dataset = Dataset::parse(text).unwrap();
    let parser = KeyParser::new(&dataset);
    let key = dataset.key().match_key("photos/north_20260203.jpg").unwrap();
    let values = parser.parse(&key.values, run_at()).unwrap();
    assert_eq!(values.iter().map(ToString::to_string).collect::<Vec<_>>(), ["north", "2026-02-03"]);
    let code = |values: [&str; 2]| {
        parser
            .parse(&values, run_at())
            .map_err(|reject| (reject.code, reject.column_name))
            .unwrap_err()
    };
    assert_eq!(code(["west", "20260203"]), (RejectCode::Constraint, Some("camera".into())));
    assert_eq!(code(["north", "20260230"]), (RejectCode::Type, Some("taken".into())));
    assert_eq!(code(["north", "20261231"]), (RejectCode::InFuture, Some("taken".into())));
}

#[test]
fn value_in_the_key_has_one_text() {
    let texts = [
        ("integer", "7", "007"),
        ("integer", "-7", "-007"),
        ("number", "0.5", "0.50"),
        ("number", "1e300", "1E300"),
        ("boolean", "true", "1"),
        ("epoch_s", "0", "-0"),
        ("date", "2026-02-03", "2026-2-3"),
    ];
    for (column_type, text, other) in texts {
        let text_of_dataset = format!("source.key = 'src-data/{{at}}.csv'\n[columns]\nat = '{column_type}'\n");
        let dataset = Dataset::parse(&text_of_dataset).unwrap();
        let parser = KeyParser::new(&dataset);
        assert_eq!(parser.parse(&[text], run_at()).unwrap()[0].to_string(), text, "{column_type}");
        let reject = parser.parse(&[other], run_at()).unwrap_err();
        assert_eq!((reject.code, reject.column_name), (RejectCode::Type, Some("at".into())), "{other}");
    }
}

const TYPES: &[&str] = &[
    "\"string\"",
    "\"integer\"",
    "\"number\"",
    "\"boolean\"",
    "\"date\"",
    "{ type = \"date\", format = \"%d/%m/%y\", maximum = \"run+1h\" }",
    "{ type = \"datetime\", maximum = \"run\" }",
    "{ type = \"epoch_ms\", minimum = \"2000-01-01\" }",
    "{ type = \"epoch_s\", required = false, maximum = 99 }",
    "{ type = \"string\", minLength = 2, maxLength = 3, pattern = \"[^b]*\", enum = [\"ac\", \"a.c\"] }",
];

proptest! {
    /// Any text is a value or rejected with a position; a value is read again as it is written.
    #[test]
    fn any_text_gets_a_result(column in proptest::sample::select(TYPES.to_vec()), text in "\\PC{0,8}|[-+0-9.,eEabcTZ:/ \u{0}\u{200b}]{0,24}|20[0-9]{2}-[01][0-9]-[0-3][0-9](T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?Z)?") {
        match value(column, &text) {
            Ok((None, _)) => prop_assert!(crate::text::trim(&text).is_empty()),
            Ok((Some(found), _)) if !column.contains("format") => {
                let (again, notices) = value(column, &found.to_string()).map_err(|reject| TestCaseError::fail(format!("{found:?}: {reject:?}")))?;
                prop_assert_eq!(again, Some(found));
                prop_assert!(!notices.contains(&Notice::NumberFormat));
            }
            Ok(_) => {}
            Err(reject) => prop_assert!(reject.column_name.is_some() && reject.position.is_some(), "{:?}", reject),
        }
    }

    /// Any bytes of the encoding get a result.
    #[test]
    fn any_bytes_of_windows_1252_get_a_result(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
        let source = [&b"Stra\xdfe;Preis \x80\n"[..], &bytes].concat();
        if let Err(reject) = parse(GERMAN, &source) {
            let length = u64::try_from(source.len()).unwrap();
            prop_assert!(reject.position.is_none_or(|position| position.byte_offset <= length), "{:?}", reject);
        }
    }
}
