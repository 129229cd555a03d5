//! Constants of a column's type: minima, maxima and allowed values.

use jiff::SignedDuration;

use crate::{
    dataset::{
        column::Maximum,
        document::Node,
        error::DatasetError,
        instant::{parse_day, parse_instant, start_of_day},
        value::{ColumnType, Value},
    },
    text::quoted,
};

/// What a constant of a type looks like.
fn expected_of(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::String => "a string",
        ColumnType::Integer => "an integer",
        ColumnType::Number => "a number",
        ColumnType::Boolean => "true or false",
        ColumnType::Date => "a day, like \"2026-11-24\"",
        ColumnType::DateTime => "a day, like \"2026-11-24\", or a time, like \"2026-11-24T12:00:00Z\"",
        ColumnType::EpochMs => "a day, like \"2026-11-24\", a time, like \"2026-11-24T12:00:00Z\", or an integer of milliseconds",
        ColumnType::EpochS => "a day, like \"2026-11-24\", a time, like \"2026-11-24T12:00:00Z\", or an integer of seconds",
    }
}

/// Parses a constant of a type. A day is interpreted as 00:00 UTC.
pub(super) fn constant(node: &Node<'_>, column_type: ColumnType) -> Result<Value, DatasetError> {
    let expected = expected_of(column_type);
    match column_type {
        ColumnType::String => return Ok(Value::Text(node.string(expected)?.into())),
        ColumnType::Integer => return Ok(Value::Integer(node.integer(expected)?)),
        // -0 and 0 are one value.
        ColumnType::Number => return Ok(Value::Number(node.number(expected)? + 0.0)),
        ColumnType::Boolean => return Ok(Value::Boolean(node.boolean()?)),
        ColumnType::EpochMs | ColumnType::EpochS if node.is_integer() => {
            let number = node.integer(expected)?;
            let value = match column_type {
                ColumnType::EpochMs => Value::EpochMs(number),
                _ => Value::EpochS(number),
            };
            return match value.day() {
                Some(_) => Ok(value),
                None => Err(node.error(format!("the time {number}, which has no date from year 0 to 9999"), expected)),
            };
        }
        ColumnType::Date | ColumnType::DateTime | ColumnType::EpochMs | ColumnType::EpochS => {}
    }
    let Some(text) = node.string_or_time() else {
        return Err(node.error("a value of another type", expected));
    };
    let day = parse_day(&text);
    let value = match (column_type, day) {
        (ColumnType::Date, day) => day.map(Value::Date),
        (_, Some(day)) => start_of_day(day).and_then(|instant| Value::of_instant(column_type, instant)),
        (_, None) => parse_instant(&text).and_then(|instant| Value::of_instant(column_type, instant)),
    };
    let value = value.filter(|value| value.day().is_some());
    value.ok_or_else(|| node.error(format!("the text {}", quoted(&text)), expected))
}

/// Parses a minimum.
pub(super) fn minimum(node: &Node<'_>, column_type: ColumnType) -> Result<Value, DatasetError> {
    match relative_to_run(node, column_type) {
        Some(_) => Err(node.error(
            "a minimum relative to the run; a valid row would become invalid although nothing changes",
            expected_of(column_type),
        )),
        None => constant(node, column_type),
    }
}

/// Parses a maximum.
pub(super) fn maximum(node: &Node<'_>, column_type: ColumnType) -> Result<Maximum, DatasetError> {
    let Some(offset) = relative_to_run(node, column_type) else {
        return constant(node, column_type).map(Maximum::Value);
    };
    let duration = match offset.as_str() {
        "" => Some(SignedDuration::ZERO),
        offset => parse_offset(offset),
    };
    let expected = "run, or run with an offset of at most 1000 years, like \"run+24h\"; the units are s, m, h and d";
    let duration = duration.ok_or_else(|| node.error(format!("the text {}", quoted(&format!("run{offset}"))), expected))?;
    Ok(Maximum::FromRun(duration))
}

/// What follows `run` in the text of a bound of days or instants.
fn relative_to_run(node: &Node<'_>, column_type: ColumnType) -> Option<String> {
    let text = node.string_or_time().filter(|_| column_type.has_day())?;
    text.strip_prefix("run").map(str::to_owned)
}

/// Parses a sign, digits and a unit.
fn parse_offset(text: &str) -> Option<SignedDuration> {
    /// 1000 years in seconds.
    const SECONDS_MAX: i64 = 1_000 * 366 * 24 * 60 * 60;
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let digits = rest.trim_end_matches(|character: char| !character.is_ascii_digit());
    let unit_seconds = match &rest[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<i64>().ok()?.checked_mul(unit_seconds)?;
    (seconds <= SECONDS_MAX).then(|| SignedDuration::from_secs(sign * seconds))
}
