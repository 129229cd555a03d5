//! From the text of a value to a typed value: its type, then the constraints of its column.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp, fmt::strtime};

use super::{
    bounds,
    layout::Layout,
    number::{NotANumber, Number, NumberRemedies, read_integer, read_number},
};
use crate::{
    calendar::Day,
    count::count,
    dataset::{Column, ColumnType, Value, instant},
    reject::{Notice, Reason, RejectCode},
    text::{self, code_point, code_points, counted, grouped, quoted},
};

/// Below this, a value is within 116 days of 1970 in milliseconds, but any time from 1653 to 2286 in seconds.
const MAYBE_SECONDS_BELOW: u64 = 10_000_000_000;

/// Maximum number of values of an `enum` that a message lists.
const LISTED_MAX: usize = 10;

/// Why a text is not a value of its column.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) code: RejectCode,
    pub(super) reason: Reason,
    /// The time from which the same text is accepted.
    pub(super) valid_from: Option<Timestamp>,
}

impl Invalid {
    pub(super) fn new(code: RejectCode, reason: Reason) -> Self {
        Self {
            code,
            reason,
            valid_from: None,
        }
    }
}

/// The text of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'t> {
    /// Without quotes, and without white space around it.
    pub(super) value: &'t str,
    /// As in the source, for messages about invisible characters.
    pub(super) raw: &'t str,
}

/// Parses the value of a column; none if the text means that there is no value. Times are compared with `run_at`, the time of the run.
pub(super) fn parse(
    layout: &Layout<'_>,
    column: &Column,
    text: Text<'_>,
    run_at: Timestamp,
    notices: &mut Vec<Notice>,
) -> Result<Option<Value>, Invalid> {
    if layout.missing_values.iter().any(|missing| **missing == *text.value) {
        if !column.constraints.is_required {
            return Ok(None);
        }
        // An empty text is rejected by its type.
        if !text.value.is_empty() {
            return Err(missing(column, text.value));
        }
    }
    if column.column_type == ColumnType::String {
        return string(layout, column, text).map(|text| Some(Value::Text(text)));
    }
    let (value, is_normalized) = typed(layout, column, text.value)?;
    bounds::check(layout.words, column, text.value, &value, run_at)?;
    if column.constraints.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&value)) {
        return Err(not_allowed(column, text.value));
    }
    if is_normalized {
        push(notices, Notice::NumberFormat);
    }
    if matches!(value, Value::EpochMs(number) if number.unsigned_abs() < MAYBE_SECONDS_BELOW) {
        push(notices, Notice::MaybeSeconds);
    }
    Ok(Some(value))
}

/// Adds a notice, each at most once.
fn push(notices: &mut Vec<Notice>, notice: Notice) {
    if !notices.contains(&notice) {
        notices.push(notice);
    }
}

/// The reject of a required value that is missing; its texts follow the declaration.
fn missing(column: &Column, text: &str) -> Invalid {
    let code = match column.column_type {
        ColumnType::String => RejectCode::ValueEmpty,
        _ => RejectCode::Type,
    };
    let reason = Reason::new(
        format!("{} is {}, which means that there is no value", column.name, quoted(text)),
        "a value, because the column is required",
        "write the value",
    );
    Invalid::new(code, reason)
}

/// How a source states that an optional column has no value; none if it cannot.
fn no_value(layout: &Layout<'_>, column: &Column) -> Option<String> {
    let texts = layout.missing_values;
    match () {
        () if column.constraints.is_required || texts.is_empty() => None,
        () if texts.iter().any(|text| text.is_empty()) => Some("leave the field empty".to_owned()),
        () => Some(format!("one of the declared missingValues ({})", texts.join(", "))),
    }
}

/// Whether a string may not contain the character. A quoted value may span lines (RFC 4180, section 2.6); every other control character is an
/// accident or an attack.
pub(super) fn is_forbidden_control(character: char) -> bool {
    character.is_control() && !matches!(character, '\n' | '\r')
}

fn string(layout: &Layout<'_>, column: &Column, Text { value: text, raw }: Text<'_>) -> Result<Box<str>, Invalid> {
    let (name, noun, constraints) = (&column.name, layout.words.text, &column.constraints);
    if text.chars().all(text::is_invisible) && !text.chars().any(is_forbidden_control) {
        let found = match code_points(raw.chars()) {
            characters if characters.is_empty() => format!("{name} is empty"),
            characters => format!("{name} has only characters that cannot be seen: {characters}"),
        };
        let remedy = match no_value(layout, column) {
            None => format!("write the {noun}; it is required"),
            Some(no_value) => format!("write the {noun}, or {no_value}"),
        };
        return Err(Invalid::new(
            RejectCode::ValueEmpty,
            Reason::new(found, format!("a {noun}"), remedy),
        ));
    }
    if u32::try_from(text.len()).map_or(true, |bytes| bytes > constraints.bytes_max) {
        let reason = Reason::new(
            format!("{name} has {} bytes", grouped(count(text.len()))),
            format!("at most {} bytes", grouped(constraints.bytes_max.into())),
            "shorten it; check that no quote is missing",
        );
        return Err(Invalid::new(RejectCode::ValueTooLong, reason));
    }
    if let Some(character) = text.chars().find(|character| is_forbidden_control(*character)) {
        let reason = Reason::new(
            format!("{name} contains the control character {}", code_point(character)),
            format!("a {noun} without control characters"),
            "remove the character",
        );
        return Err(Invalid::new(RejectCode::ControlCharacter, reason));
    }
    check_string(column, text)?;
    Ok(text.into())
}

/// Checks the constraints that only strings have.
fn check_string(column: &Column, text: &str) -> Result<(), Invalid> {
    let constraints = &column.constraints;
    let is_outside =
        |length: u32| constraints.length_min.is_some_and(|min| length < min) || constraints.length_max.is_some_and(|max| length > max);
    if constraints.length_min.is_some() || constraints.length_max.is_some() {
        let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        if is_outside(length) {
            let (constraint, expected) = match (constraints.length_min, constraints.length_max) {
                (Some(min), _) if length < min => ("minLength", format!("at least {}", characters(min))),
                (_, max) => ("maxLength", format!("at most {}", characters(max.unwrap_or_default()))),
            };
            let found = format!("{} has {}, which violates {constraint}", column.name, characters(length));
            return Err(Invalid::new(
                RejectCode::Constraint,
                Reason::new(found, expected, "correct the value"),
            ));
        }
    }
    let is_allowed = |value: &Value| matches!(value, Value::Text(allowed) if **allowed == *text);
    if constraints.allowed.as_ref().is_some_and(|allowed| !allowed.iter().any(is_allowed)) {
        return Err(not_allowed(column, text));
    }
    match &constraints.pattern {
        Some(pattern) if !pattern.matches(text) => {
            let found = format!("{} is {}, which violates the pattern", column.name, quoted(text));
            let expected = format!("a value that matches {}", quoted(pattern.as_str()));
            Err(Invalid::new(
                RejectCode::Constraint,
                Reason::new(found, expected, "correct the value"),
            ))
        }
        _ => Ok(()),
    }
}

fn characters(count: u32) -> String {
    counted(count.into(), "character", "characters")
}

fn not_allowed(column: &Column, text: &str) -> Invalid {
    let allowed = column.constraints.allowed.as_deref().unwrap_or_default();
    let mut listed: Vec<_> = allowed.iter().take(LISTED_MAX).map(|value| quoted(&value.to_string())).collect();
    if allowed.len() > LISTED_MAX {
        listed.push(format!("{} further values", allowed.len() - LISTED_MAX));
    }
    let found = format!("{} is {}, which violates the enum", column.name, quoted(text));
    let reason = Reason::new(found, format!("one of {}", listed.join(", ")), "correct the value");
    Invalid::new(RejectCode::Constraint, reason)
}

/// Parses a text as any type except a string. Returns the value, and whether it was written in an unusual way.
fn typed(layout: &Layout<'_>, column: &Column, text: &str) -> Result<(Value, bool), Invalid> {
    let not_of_type = |(found, remedy): NotANumber| {
        let found = match text {
            "" => format!("{} is empty", column.name),
            _ => format!("{} is {}, {found}", column.name, quoted(text)),
        };
        // A text without digits, such as n/a, may be meant as no value.
        let remedy = match no_value(layout, column).filter(|_| !text.contains(char::is_numeric)) {
            None => remedy.to_owned(),
            Some(no_value) => format!("{remedy}, or {no_value}"),
        };
        Invalid::new(RejectCode::Type, Reason::new(found, expected(column, layout), remedy))
    };
    let integer = |remedies: &NumberRemedies, of: fn(i64) -> Value| {
        let number = read_integer(text, layout.dialect, remedies)?;
        Ok((of(number.value), number.is_normalized))
    };
    let result = match column.column_type {
        ColumnType::EpochMs => integer(
            &NumberRemedies {
                empty: layout.words.write_time,
                text: "convert it to milliseconds since 1970-01-01 UTC",
                fraction: "round it to whole milliseconds",
                beyond: "check the value and its unit, which is milliseconds",
                separators: "write the digits alone",
            },
            Value::EpochMs,
        ),
        ColumnType::EpochS => integer(
            &NumberRemedies {
                empty: layout.words.write_time,
                text: "convert it to seconds since 1970-01-01 UTC",
                fraction: "round it to whole seconds",
                beyond: "check the value and its unit, which is seconds",
                separators: "write the digits alone",
            },
            Value::EpochS,
        ),
        ColumnType::Integer => integer(&INTEGER, Value::Integer),
        ColumnType::Number => {
            read_number(text, layout.dialect, &NUMBER).map(|Number { value, is_normalized }| (Value::Number(value), is_normalized))
        }
        ColumnType::Boolean => boolean(text).map(|value| (Value::Boolean(value), false)),
        ColumnType::Date => date(text, column.date_format.as_deref()).map(|day| (Value::Date(day), false)),
        ColumnType::DateTime => datetime(text),
        ColumnType::String => Ok((Value::Text(text.into()), false)),
    };
    result.map_err(not_of_type)
}

const INTEGER: NumberRemedies = NumberRemedies {
    empty: "write the value",
    text: "write a whole number",
    fraction: "round it to a whole number",
    beyond: "check the value",
    separators: "write the digits alone",
};

const NUMBER: NumberRemedies = NumberRemedies {
    empty: "write the value",
    text: "write a number",
    fraction: "write a number",
    beyond: "check the value",
    separators: "write it with the declared decimalChar, and without undeclared separators",
};

/// What a type expects.
fn expected(column: &Column, layout: &Layout<'_>) -> String {
    match column.column_type {
        ColumnType::String => format!("a {}", layout.words.text),
        ColumnType::Integer => "a whole number, like 42".to_owned(),
        ColumnType::Number => format!("a number, like 1{}5", layout.dialect.decimal),
        ColumnType::Boolean => "true or false".to_owned(),
        ColumnType::Date => match &column.date_format {
            None => "a day, like 2026-11-24".to_owned(),
            Some(format) => format!("a day with the format {}", quoted(format)),
        },
        ColumnType::DateTime => "a time with its offset from UTC (RFC 3339), like 2026-11-24T12:00:00Z".to_owned(),
        ColumnType::EpochMs => "a whole number of milliseconds since 1970-01-01 UTC, like 612302400000".to_owned(),
        ColumnType::EpochS => "a whole number of seconds since 1970-01-01 UTC, like 612302400".to_owned(),
    }
}

/// The spellings of the Data Package *Table Schema*.
fn boolean(text: &str) -> Result<bool, NotANumber> {
    match text {
        "true" | "True" | "TRUE" | "1" => Ok(true),
        "false" | "False" | "FALSE" | "0" => Ok(false),
        _ => Err(("which is neither true nor false".into(), "write true or false")),
    }
}

fn date(text: &str, format: Option<&str>) -> Result<Day, NotANumber> {
    /// Below this, a year has fewer than four digits without leading zeros.
    const FOUR_DIGITS_FROM: i16 = 1_000;
    const OTHER_FORMAT: NotANumber = (
        Cow::Borrowed("which does not match the format"),
        "write the day in the declared format",
    );
    const NO_DAY: NotANumber = (Cow::Borrowed("which is no day of the calendar"), "correct the day");
    let Some(format) = format else {
        let has_format = text.replace(|character: char| character.is_ascii_digit(), "0") == "0000-00-00";
        return instant::parse_day(text).ok_or(if has_format { NO_DAY } else { OTHER_FORMAT });
    };
    let parts = strtime::parse(format, text).map_err(|_| OTHER_FORMAT)?;
    let date = parts.to_date().map_err(|_| NO_DAY)?;
    if date.year() < FOUR_DIGITS_FROM && !text.contains(&format!("{:04}", date.year())) {
        return Err(("whose year has fewer than four digits".into(), "write the year with four digits"));
    }
    Day::from_date(date).ok_or(NO_DAY)
}

/// Parses an instant. Digits after microseconds are cut off.
fn datetime(text: &str) -> Result<(Value, bool), NotANumber> {
    let instant = instant::parse_instant(text).ok_or_else(|| match instant::parse_instant(&format!("{text}Z")) {
        Some(_) => ("which has no offset from UTC".into(), "add Z or an offset such as +01:00"),
        None => ("which does not match the format".into(), "write the day, the time and the offset"),
    })?;
    let cut_off = instant.duration_since(Timestamp::UNIX_EPOCH).subsec_nanos() % 1_000;
    let instant = instant
        .checked_sub(SignedDuration::from_nanos(cut_off.rem_euclid(1_000).into()))
        .unwrap_or(instant);
    Ok((Value::DateTime(instant.as_microsecond()), cut_off != 0))
}

#[cfg(test)]
mod tests;
