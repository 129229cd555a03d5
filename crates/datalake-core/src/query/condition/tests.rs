//! Every operator over a few rows, and invalid conditions.

use jiff::civil::date;

use super::*;
use crate::{
    calendar::Day,
    row::{Row, test_rows::user},
};

fn rows() -> [Row; 3] {
    let row = |row_id, first_name, birthts_ms, has_image| user(row_id, [first_name, "O'Hara, Jr"], birthts_ms, has_image);
    [
        row("1", "Anna", 0, true),
        row("2", "anton", -1, false),
        row("3", "Zoë", 4_000_000_000_000, true),
    ]
}

/// Checks the IDs of the rows that meet the condition.
#[track_caller]
fn check(name: &str, value: &str, expected: &[&str]) {
    let ages = Ages::on(Day::from_date(date(2026, 11, 24)).unwrap());
    let condition = Condition::parse(Dataset::users(), name, value)
        .unwrap()
        .expect("the name begins with a column");
    let matching: Vec<_> = rows()
        .iter()
        .filter(|row| condition.holds(&row.view(Dataset::users()), ages))
        .map(|row| row.row_id.to_string())
        .collect();
    assert_eq!(matching, expected, "{name}={value}");
}

#[track_caller]
fn check_rejected(name: &str, value: &str, nearest: Option<&str>) {
    let error = Condition::parse(Dataset::users(), name, value).unwrap_err();
    assert_eq!((error.parameter.as_str(), error.nearest.as_deref()), (name, nearest), "{error}");
}

#[test]
fn conditions_match_rows() {
    check("first_name", "Anna", &["1"]);
    check("first_name__exact", "anna", &[]);
    check("first_name__not", "Anna", &["2", "3"]);
    check("first_name__contains", "AN", &["1", "2"]);
    check("first_name__contains", "", &["1", "2", "3"]);
    check("first_name__contains", "a longer text than any", &[]);
    check("first_name__startswith", "an", &["1", "2"]);
    check("first_name__endswith", "oë", &["3"]);
    check("first_name__gt", "Anna", &["2", "3"]);
    check("first_name__lte", "Zoë", &["1", "3"]); // By bytes: upper case comes first.
    check("first_name__in", "Anna,Zoë", &["1", "3"]);
    check("last_name__in", "[\"O'Hara, Jr\"]", &["1", "2", "3"]);
    check("user_id__gte", "2", &["2", "3"]);
    check("birthts", "-1", &["2"]);
    check("birthts__lt", "0", &["2"]);
    check("birthts__gte", "0", &["1", "3"]);
    check("birthts__in", "0, -1", &["1", "2"]);
    check("birthts__in", "[0, -1]", &["1", "2"]);
    check("age", "56", &["1", "2"]);
    check("age__isnull", "", &["3"]);
    check("age__not", "1", &["1", "2"]); // A row without an age does not match.
    check("age__notnull", "1", &["1", "2"]);
    check("img_path__isnull", "true", &["2"]);
    check("img_path__contains", "images/1", &["1"]);
    check("img_path__not", "x", &["1", "3"]);
}

#[test]
fn operator_is_parsed_for_columns_that_support_it() {
    for column in Column::all(Dataset::users()) {
        for operator in Operator::ALL {
            assert_eq!(Operator::named(operator.name()), Some(operator));
            let name = format!("{}__{}", column.name(Dataset::users()), operator.name());
            let parses = ["1", "text"].map(|value| Condition::parse(Dataset::users(), &name, value).is_ok());
            assert_eq!(
                parses.contains(&true),
                operator.applies_to(column.column_type(Dataset::users())),
                "{name}"
            );
        }
    }
}

#[test]
fn invalid_conditions_are_rejected() {
    assert_eq!(Condition::parse(Dataset::users(), "firstname", "x"), Ok(None));
    check_rejected("first_name__containing", "x", Some("first_name__contains"));
    check_rejected("first_name__", "x", None);
    check_rejected("first_name__frobnicate_all", "x", None);
    check_rejected("birthts", "1e3", None);
    check_rejected("birthts__gt", "", None);
    check_rejected("birthts__gt", "9223372036854775808", None);
    check_rejected("birthts__contains", "1", None);
    check_rejected("age__in", "1,x", None);
    check_rejected("age__in", "[1.5]", None);
    check_rejected("first_name__in", "[null]", None);
    check_rejected("first_name__in", "[1", None);
    check_rejected("first_name__in", &",".repeat(1_000), None);
    check_rejected("img_path__isnull", "False", None);
}

#[test]
fn value_outside_of_the_enum_is_rejected() {
    let text = "source.key = 'src-data/{id}.csv'\n[columns]\ncondition = { type = 'string', enum = ['gesund', 'KRANK'] }\nwells = { type = \
                'integer', enum = [96, 384] }\nday = { type = 'date', enum = ['2026-11-24'] }\n";
    let dataset = Dataset::parse(text).unwrap();
    let parse = |name: &str, value: &str| Condition::parse(&dataset, name, value).map(|condition| condition.is_some());
    for (name, value) in [
        ("condition", "gesund"),
        ("condition__not", "KRANK"),
        ("condition__in", "gesund,KRANK"),
        ("condition__in", "[\"gesund\"]"),
        ("condition__contains", "und"),
        ("condition__startswith", "G"),
        ("condition__gte", "h"),
        ("condition__isnull", ""),
        ("wells", "0096"),
        ("wells__in", "96, 384"),
        ("wells__gt", "100"),
        ("day", "2026-11-24"),
    ] {
        assert_eq!(parse(name, value), Ok(true), "{name}={value}");
    }
    let check_rejected = |name: &str, value: &str, expected: &str| assert_eq!(parse(name, value).unwrap_err().to_string(), expected);
    check_rejected(
        "condition",
        "Gesund",
        "condition: \"Gesund\" is none of gesund, KRANK; did you mean \"gesund\"?",
    );
    check_rejected(
        "condition__in",
        "gesund,krank",
        "condition__in: \"krank\" is none of gesund, KRANK; did you mean \"KRANK\"?",
    );
    check_rejected("condition__not", "x", "condition__not: \"x\" is none of gesund, KRANK");
    check_rejected("wells", "97", "wells: \"97\" is none of 96, 384; did you mean \"96\"?");
    check_rejected(
        "day",
        "2026-11-25",
        "day: \"2026-11-25\" is none of 2026-11-24; did you mean \"2026-11-24\"?",
    );
    check_rejected("wells", "x", "wells: must be a whole number between -2^63 and 2^63 - 1");
}
