//! The minimum and the maximum value of a column, constant or relative to the run.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::{layout::Words, values::Invalid};
use crate::{
    calendar::Day,
    dataset::{Column, ColumnType, Maximum, Value},
    reject::{Reason, RejectCode},
    text::{counted, quoted},
};

/// Checks a value of a type with an order. A time that has no date is outside, too.
pub(super) fn check(words: &Words, column: &Column, text: &str, value: &Value, run_at: Timestamp) -> Result<(), Invalid> {
    let constraints = &column.constraints;
    if let Some(minimum) = constraints
        .minimum
        .as_ref()
        .filter(|minimum| value.compare(minimum) == Some(Ordering::Less))
    {
        let expected = match minimum.day().filter(|_| is_epoch(column)) {
            Some(day) => format!("a {} of {} or later, at least {minimum}", words.time, short(day)),
            None => format!("at least {minimum}"),
        };
        return Err(outside(column, text, value, "below the minimum", expected));
    }
    match &constraints.maximum {
        Some(Maximum::Value(maximum)) if value.compare(maximum) == Some(Ordering::Greater) => {
            let expected = match maximum.day().filter(|_| is_epoch(column)) {
                Some(day) => format!("a {} of {} or earlier, at most {maximum}", words.time, day.date()),
                None => format!("at most {maximum}"),
            };
            return Err(outside(column, text, value, "above the maximum", expected));
        }
        Some(Maximum::FromRun(offset)) => check_from_run(words, column, text, value, run_at, *offset)?,
        Some(Maximum::Value(_)) | None => {}
    }
    if column.column_type.has_day() && value.day().is_none() {
        let expected = format!("a {} from {} to {}", words.time, Day::FIRST.date(), Day::LAST.date());
        return Err(outside(column, text, value, "outside of the calendar", expected));
    }
    Ok(())
}

fn is_epoch(column: &Column) -> bool {
    matches!(column.column_type, ColumnType::EpochMs | ColumnType::EpochS)
}

fn remedy(column: &Column) -> &'static str {
    match column.column_type {
        ColumnType::EpochMs => "check the value and its unit, which is milliseconds",
        ColumnType::EpochS => "check the value and its unit, which is seconds",
        _ => "check the value",
    }
}

/// The text of a value, with its day if the text does not show it.
fn format_value(column: &Column, text: &str, value: &Value) -> String {
    let day = value
        .day()
        .filter(|_| is_epoch(column))
        .map_or(String::new(), |day| format!(", {}", day.date()));
    format!("{} is {}{day}", column.name, quoted(text))
}

fn outside(column: &Column, text: &str, value: &Value, cause: &str, expected: String) -> Invalid {
    let shown = format_value(column, text, value);
    // The day shows the cause.
    let found = match is_epoch(column) {
        true => shown,
        false => format!("{shown}, {cause}"),
    };
    Invalid::new(RejectCode::OutOfRange, Reason::new(found, expected, remedy(column)))
}

/// A day, as its year alone if it is the first of the year.
fn short(day: Day) -> String {
    let date = day.date();
    match (date.month(), date.day()) {
        (1, 1) => date.year().to_string(),
        _ => date.to_string(),
    }
}

/// Checks a value against a time relative to the run. The message does not depend on the run; otherwise each run would record a change.
fn check_from_run(
    words: &Words,
    column: &Column,
    text: &str,
    value: &Value,
    run_at: Timestamp,
    offset: SignedDuration,
) -> Result<(), Invalid> {
    let latest = run_at.saturating_add(offset).unwrap_or(Timestamp::MAX);
    let latest = Value::of_instant(column.column_type, latest);
    if latest.and_then(|latest| value.compare(&latest)) != Some(Ordering::Greater) {
        return Ok(());
    }
    let is_later = !offset.is_negative() && !offset.is_zero();
    let cause = if is_later {
        "after the day of the run"
    } else {
        "after the latest time"
    };
    let expected = match (offset.is_zero(), is_later) {
        (true, _) => format!("a {} not after the run", words.time),
        (_, true) => format!("a {} at most {} after the run", words.time, elapsed(offset)),
        (_, false) => format!("a {} at least {} before the run", words.time, elapsed(offset)),
    };
    let reason = Reason::new(format!("{}, {cause}", format_value(column, text, value)), expected, remedy(column));
    let mut invalid = Invalid::new(RejectCode::InFuture, reason);
    invalid.valid_from = start(value)
        .filter(|_| value.day().is_some())
        .and_then(|start| start.checked_sub(offset).ok());
    Err(invalid)
}

/// The first instant of a value that is a day or a time.
fn start(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Date(day) => Timestamp::from_second(i64::from(day.number()) * 24 * 60 * 60).ok(),
        Value::DateTime(microseconds) => Timestamp::from_microsecond(*microseconds).ok(),
        Value::EpochMs(milliseconds) => Timestamp::from_millisecond(*milliseconds).ok(),
        Value::EpochS(seconds) => Timestamp::from_second(*seconds).ok(),
        Value::Text(_) | Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => None,
    }
}

/// A duration in hours, minutes or seconds.
fn elapsed(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().unsigned_abs();
    let (number, unit) = match seconds {
        _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, ["hour", "hours"]),
        _ if seconds.is_multiple_of(60) => (seconds / 60, ["minute", "minutes"]),
        _ => (seconds, ["second", "seconds"]),
    };
    counted(number, unit[0], unit[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_the_largest_exact_unit() {
        let check = |seconds, expected: &str| assert_eq!(elapsed(SignedDuration::from_secs(seconds)), expected);
        check(86_400, "24 hours");
        check(-3_600, "1 hour");
        check(5_400, "90 minutes");
        check(1, "1 second");
    }
}
