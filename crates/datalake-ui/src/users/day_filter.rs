//! Filters on times by day: the API compares milliseconds, and users choose days.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The operators that a day can have.
pub(crate) const OPERATORS: [&str; 7] = ["exact", "gte", "gt", "lt", "lte", "isnull", "notnull"];

/// The conditions of the API that an operator and a day mean; none if the value is not a day, or the operator compares no single day.
pub(crate) fn conditions(operator: &str, value: &str) -> Option<Vec<(&'static str, i64)>> {
    let date: Date = value.trim().parse().ok()?;
    let (start, end) = (start_ms(date)?, start_ms(date.tomorrow().ok()?)?);
    Some(match operator {
        "" | "exact" => vec![("gte", start), ("lt", end)],
        "gte" => vec![("gte", start)],
        "gt" => vec![("gte", end)],
        "lt" => vec![("lt", start)],
        "lte" => vec![("lt", end)],
        _ => return None,
    })
}

/// The day that a condition of the API means; none if it compares a time within a day.
pub(crate) fn day_of(operator: &str, value: &str) -> Option<Date> {
    // With the other operators, a form would turn the day into another time.
    if !matches!(operator, "gte" | "lt") {
        return None;
    }
    let at = Timestamp::from_millisecond(value.parse().ok()?).ok()?;
    let date = at.to_zoned(TimeZone::UTC).date();
    (start_ms(date)? == at.as_millisecond()).then_some(date)
}

fn start_ms(date: Date) -> Option<i64> {
    let start = date.to_zoned(TimeZone::UTC).ok()?;
    Some(start.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    #[track_caller]
    fn check(operator: &str, value: &str, expected: Option<&[(&'static str, i64)]>) {
        assert_eq!(conditions(operator, value).as_deref(), expected, "{operator} {value}");
    }

    #[test]
    fn days_become_times() {
        check("", "1970-01-02", Some(&[("gte", DAY_MS), ("lt", 2 * DAY_MS)]));
        check("gt", "1970-01-01", Some(&[("gte", DAY_MS)]));
        check("gte", "1969-12-31", Some(&[("gte", -DAY_MS)]));
        check("lt", "1970-01-01", Some(&[("lt", 0)]));
        check("lte", "1970-01-01", Some(&[("lt", DAY_MS)]));
    }

    #[test]
    fn other_values_stay_as_they_are() {
        check("gte", "612302400000", None);
        check("gte", "1970-02-30", None);
        check("in", "1970-01-01", None);
    }

    #[test]
    fn conditions_at_midnight_are_days() {
        let day = |operator, value| day_of(operator, value).map(|date| date.to_string());
        assert_eq!(day("gte", "86400000").as_deref(), Some("1970-01-02"));
        assert_eq!(day("lt", "-86400000").as_deref(), Some("1969-12-31"));
        assert_eq!(day("gte", "1"), None);
        assert_eq!(day("gt", "86400000"), None);
        assert_eq!(day("gte", "x"), None);
    }
}
