//! The constraints of a column: which apply to its type, and whether a value can satisfy all of them.

use super::bounds;
use crate::{
    dataset::{
        column::{Constraints, Maximum, Pattern},
        document::{Node, Table},
        error::DatasetError,
        value::{ColumnType, Value},
    },
    text::{self, quoted},
};

/// The keys of a column.
pub(super) const KEYS: &[&str] = &[
    "type",
    "title",
    "required",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "enum",
    "maxBytes",
    "format",
    "source",
];

/// Maximum value of `maxBytes`: the largest source.
const DECLARED_TEXT_BYTES_MAX: u32 = 64 * 1024;

/// Maximum length of the regular expression of a `pattern`, in bytes.
const PATTERN_BYTES_MAX: usize = 1_000;

/// Maximum number of values of an `enum`: they are compared one by one.
const ALLOWED_MAX: usize = 1_000;

/// Maximum length of a format of days, in bytes.
const FORMAT_BYTES_MAX: usize = 100;

/// The format of days without declaration.
pub(super) const DATE_FORMAT: &str = "%Y-%m-%d";

/// The keys that apply to columns of a type.
fn keys_of(column_type: ColumnType, is_in_key: bool) -> Vec<&'static str> {
    let applies = |key: &&str| match *key {
        "type" | "title" => true,
        "required" | "source" => !is_in_key,
        "minimum" | "maximum" => column_type.is_ordered(),
        "minLength" | "maxLength" | "pattern" | "maxBytes" => column_type == ColumnType::String,
        "enum" => column_type != ColumnType::Boolean,
        _ => column_type == ColumnType::Date,
    };
    KEYS.iter().copied().filter(applies).collect()
}

/// Parses the constraints and the format of days in the table of a column.
pub(super) fn parse(
    table: &Table<'_>,
    column_type: ColumnType,
    is_in_key: bool,
    missing_values: &[Box<str>],
) -> Result<(Constraints, Option<Box<str>>), DatasetError> {
    let keys = keys_of(column_type, is_in_key);
    if let Some(entry) = table.entries().iter().find(|entry| !keys.contains(&entry.key)) {
        let origin = if is_in_key { " in the key" } else { "" };
        return Err(entry.error(
            format!("{} for a column of the type {column_type}{origin}", entry.key),
            format!("one of {}", keys.join(", ")),
        ));
    }
    let count = |key: &str| table.get(key).map(|node| node.count(DECLARED_TEXT_BYTES_MAX)).transpose();
    let mut constraints = Constraints::default();
    if let Some(node) = table.get("required") {
        constraints.is_required = node.boolean()?;
    }
    constraints.minimum = table.get("minimum").map(|node| bounds::minimum(node, column_type)).transpose()?;
    constraints.maximum = table.get("maximum").map(|node| bounds::maximum(node, column_type)).transpose()?;
    constraints.length_min = count("minLength")?;
    constraints.length_max = count("maxLength")?;
    constraints.bytes_max = count("maxBytes")?.unwrap_or(constraints.bytes_max);
    constraints.pattern = table.get("pattern").map(pattern).transpose()?;
    check_order(table, &constraints)?;
    if let Some(node) = table.get("enum") {
        constraints.allowed = Some(allowed(node, column_type, &constraints, missing_values)?);
    }
    let date_format = table.get("format").map(date_format).transpose()?;
    Ok((constraints, date_format.filter(|format| **format != *DATE_FORMAT)))
}

fn pattern(node: &Node<'_>) -> Result<Pattern, DatasetError> {
    const EXPECTED: &str = "a regular expression for the whole value, like \"[A-Z]{3}\"";
    let text = node.string(EXPECTED)?;
    if text.len() > PATTERN_BYTES_MAX {
        let found = format!("a regular expression of {} bytes", text.len());
        return Err(node.error(found, format!("at most {PATTERN_BYTES_MAX} bytes")));
    }
    Pattern::compile(text).map_err(|(at, found)| node.error_within(at, found, EXPECTED))
}

/// Rejects bounds that no value satisfies.
fn check_order(table: &Table<'_>, constraints: &Constraints) -> Result<(), DatasetError> {
    let contradiction = |key: &str, found: String, expected: &str| match table.get(key) {
        Some(node) => Err(node.error(found, expected)),
        None => Ok(()),
    };
    if let (Some(minimum), Some(Maximum::Value(maximum))) = (&constraints.minimum, &constraints.maximum)
        && minimum.compare(maximum).is_some_and(std::cmp::Ordering::is_gt)
    {
        return contradiction(
            "maximum",
            format!("the maximum {maximum} below the minimum {minimum}"),
            "at least the minimum",
        );
    }
    match (constraints.length_min, constraints.length_max) {
        (Some(min), Some(max)) if min > max => {
            contradiction("maxLength", format!("maxLength {max} below minLength {min}"), "at least minLength")
        }
        (Some(min), _) if min > constraints.bytes_max => {
            let found = format!("minLength {min} exceeds maxBytes {}", constraints.bytes_max);
            contradiction("minLength", found, "at most maxBytes (default 1000)")
        }
        _ => Ok(()),
    }
}

/// Parses an `enum`. Each value must satisfy the other constraints.
fn allowed(
    node: &Node<'_>,
    column_type: ColumnType,
    constraints: &Constraints,
    missing_values: &[Box<str>],
) -> Result<Box<[Value]>, DatasetError> {
    const EXPECTED: &str = "an array of values, like [\"new\", \"paid\"]";
    let mut values: Vec<Value> = Vec::new();
    for node in node.array(EXPECTED, ALLOWED_MAX)? {
        let value = bounds::constant(&node, column_type)?;
        if values.contains(&value) {
            return Err(node.error(format!("duplicate value {}", quoted(&value.to_string())), "unique values"));
        }
        if let Some(cause) = impossible(&value, constraints, missing_values) {
            return Err(node.error(
                format!("the value {}, {cause}", quoted(&value.to_string())),
                "values that the other constraints permit",
            ));
        }
        values.push(value);
    }
    match values.is_empty() {
        true => Err(node.error("an empty enum", EXPECTED)),
        false => Ok(values.into()),
    }
}

/// Why no source can have a value.
fn impossible(value: &Value, constraints: &Constraints, missing_values: &[Box<str>]) -> Option<String> {
    if let Value::Text(text) = value {
        let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        return match () {
            () if missing_values.contains(text) => Some("which means that there is no value".to_owned()),
            () if text::trim(text) != &**text => Some("with white space around it, which is removed".to_owned()),
            () if text.chars().all(text::is_invisible) => Some("which has no visible character".to_owned()),
            () if text.chars().any(char::is_control) => Some("which has control characters".to_owned()),
            () if bytes > constraints.bytes_max => Some("which is longer than maxBytes".to_owned()),
            () if constraints.length_min.is_some_and(|min| characters < min) => Some("which is shorter than minLength".to_owned()),
            () if constraints.length_max.is_some_and(|max| characters > max) => Some("which is longer than maxLength".to_owned()),
            () if constraints.pattern.as_ref().is_some_and(|pattern| !pattern.matches(text)) => {
                Some("which does not match the pattern".to_owned())
            }
            () => None,
        };
    }
    let is_below = |bound: &Value| value.compare(bound).is_some_and(std::cmp::Ordering::is_lt);
    if constraints.minimum.as_ref().is_some_and(is_below) {
        return Some("which is below the minimum".to_owned());
    }
    match &constraints.maximum {
        Some(Maximum::Value(maximum)) if value.compare(maximum).is_some_and(std::cmp::Ordering::is_gt) => {
            Some("which is above the maximum".to_owned())
        }
        _ => None,
    }
}

/// A format of days that contains a whole day: days that are written with it are read again.
fn date_format(node: &Node<'_>) -> Result<Box<str>, DatasetError> {
    const EXPECTED: &str = "a format with year, month and day, like \"%d.%m.%Y\" (strptime)";
    const DAYS: [(i16, i8, i8); 3] = [(1999, 12, 31), (2004, 2, 29), (2026, 10, 3)];
    let format = node.string(EXPECTED)?;
    let round_trips = |(year, month, day): (i16, i8, i8)| {
        let date = jiff::civil::Date::new(year, month, day).ok()?;
        let text = jiff::fmt::strtime::format(format, date).ok()?;
        (jiff::civil::Date::strptime(format, &text).ok()? == date).then_some(())
    };
    match format.len() <= FORMAT_BYTES_MAX && DAYS.into_iter().all(|day| round_trips(day).is_some()) {
        true => Ok(format.into()),
        false => Err(node.error(format!("the format {}", quoted(format)), EXPECTED)),
    }
}
