//! Filters on instants by day: the API compares instants, and users choose days.

use datalake_core::dataset::ColumnType;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The operators that a day can have.
pub(crate) const OPERATORS: [&str; 7] = ["exact", "gte", "gt", "lt", "lte", "isnull", "notnull"];

/// The conditions of the API that an operator and a day mean for a column of instants; none for another column, if the value is not a day, or if
/// the operator compares no single day.
pub(crate) fn conditions(column_type: ColumnType, operator: &str, value: &str) -> Option<Vec<(&'static str, String)>> {
    let date: Date = value.trim().parse().ok()?;
    let start = |date: Date| instant(column_type, begin(date)?);
    let (start, end) = (start(date)?, start(date.tomorrow().ok()?)?);
    Some(match operator {
        "" | "exact" => vec![("gte", start), ("lt", end)],
        "gte" => vec![("gte", start)],
        "gt" => vec![("gte", end)],
        "lt" => vec![("lt", start)],
        "lte" => vec![("lt", end)],
        _ => return None,
    })
}

/// The day that a condition of the API means; none if it compares a time within a day, or another value.
pub(crate) fn day_of(column_type: ColumnType, operator: &str, value: &str) -> Option<Date> {
    let at = match column_type {
        ColumnType::Date if OPERATORS.contains(&operator) => return value.parse().ok(),
        // With the other operators, a form would turn the day into another time.
        _ if !matches!(operator, "gte" | "lt") => return None,
        ColumnType::EpochMs => Timestamp::from_millisecond(value.parse().ok()?).ok()?,
        ColumnType::EpochS => Timestamp::from_second(value.parse().ok()?).ok()?,
        ColumnType::DateTime => value.parse().ok()?,
        ColumnType::String | ColumnType::Integer | ColumnType::Number | ColumnType::Boolean | ColumnType::Date => return None,
    };
    let date = at.to_zoned(TimeZone::UTC).date();
    (begin(date)? == at).then_some(date)
}

/// Whether the values of a column are instants, which a form takes as days.
pub(crate) fn is_instant(column_type: ColumnType) -> bool {
    matches!(column_type, ColumnType::EpochMs | ColumnType::EpochS | ColumnType::DateTime)
}

fn begin(date: Date) -> Option<Timestamp> {
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// An instant as a value of a column; none if its values are no instants.
fn instant(column_type: ColumnType, at: Timestamp) -> Option<String> {
    match column_type {
        ColumnType::EpochMs => Some(at.as_millisecond().to_string()),
        ColumnType::EpochS => Some(at.as_second().to_string()),
        ColumnType::DateTime => Some(at.to_string()),
        ColumnType::String | ColumnType::Integer | ColumnType::Number | ColumnType::Boolean | ColumnType::Date => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(column_type: ColumnType, operator: &str, value: &str, expected: Option<&[(&str, &str)]>) {
        let found = conditions(column_type, operator, value);
        let found: Option<Vec<_>> = found
            .as_ref()
            .map(|conditions| conditions.iter().map(|(operator, bound)| (*operator, bound.as_str())).collect());
        assert_eq!(found.as_deref(), expected, "{operator} {value}");
    }

    #[test]
    fn days_become_times() {
        let type_ms = ColumnType::EpochMs;
        check(type_ms, "", "1970-01-02", Some(&[("gte", "86400000"), ("lt", "172800000")]));
        check(type_ms, "gt", "1970-01-01", Some(&[("gte", "86400000")]));
        check(type_ms, "gte", "1969-12-31", Some(&[("gte", "-86400000")]));
        check(type_ms, "lt", "1970-01-01", Some(&[("lt", "0")]));
        check(type_ms, "lte", "1970-01-01", Some(&[("lt", "86400000")]));
        check(ColumnType::EpochS, "lte", "1970-01-01", Some(&[("lt", "86400")]));
        check(ColumnType::DateTime, "gt", "1970-01-01", Some(&[("gte", "1970-01-02T00:00:00Z")]));
    }

    #[test]
    fn other_values_stay_as_they_are() {
        check(ColumnType::EpochMs, "gte", "612302400000", None);
        check(ColumnType::EpochMs, "gte", "1970-02-30", None);
        check(ColumnType::EpochMs, "in", "1970-01-01", None);
        check(ColumnType::Date, "gte", "1970-01-01", None);
        check(ColumnType::String, "gte", "1970-01-01", None);
    }

    #[test]
    fn conditions_at_midnight_are_days() {
        let day = |column_type, operator, value| day_of(column_type, operator, value).map(|date| date.to_string());
        let of_ms = |operator, value| day(ColumnType::EpochMs, operator, value);
        assert_eq!(of_ms("gte", "86400000").as_deref(), Some("1970-01-02"));
        assert_eq!(of_ms("lt", "-86400000").as_deref(), Some("1969-12-31"));
        assert_eq!(of_ms("gte", "1"), None);
        assert_eq!(of_ms("gt", "86400000"), None);
        assert_eq!(of_ms("gte", "x"), None);
        assert_eq!(day(ColumnType::EpochS, "gte", "86400").as_deref(), Some("1970-01-02"));
        let at = "1970-01-02T00:00:00Z";
        assert_eq!(day(ColumnType::DateTime, "lt", at).as_deref(), Some("1970-01-02"));
        assert_eq!(day(ColumnType::Date, "exact", "1970-01-02").as_deref(), Some("1970-01-02"));
        assert_eq!(day(ColumnType::Date, "in", "1970-01-02"), None);
        assert_eq!(day(ColumnType::Integer, "gte", "86400000"), None);
    }
}
