//! The values that the text of a condition names.

use crate::{
    dataset::{ColumnType, instant},
    query::error::QueryError,
};

/// Maximum number of values of one `in`: more would not fit into a request line.
const IN_MAX: usize = 1_000;

/// A finite number.
pub(super) fn number(name: &str, text: &str) -> Result<f64, QueryError> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| QueryError::value(name, "must be a number, like 1.5"))
}

/// The number as which a text of a type is compared. In a comparison with times, a day is interpreted as 00:00 UTC.
pub(super) fn integer(name: &str, text: &str, column_type: ColumnType) -> Result<i64, QueryError> {
    let (number, expected) = match column_type {
        ColumnType::Boolean => {
            let number = match text.to_ascii_lowercase().as_str() {
                "true" => Some(1),
                "false" => Some(0),
                _ => None,
            };
            (number, "must be true or false")
        }
        ColumnType::Date => {
            let day = instant::parse_day(text);
            (day.map(|day| i64::from(day.number())), "must be a day, like 2026-11-24")
        }
        ColumnType::DateTime => {
            let instant = instant::parse_instant(text).or_else(|| instant::start_of_day(instant::parse_day(text)?));
            let expected = "must be a time with its offset from UTC, like 2026-11-24T12:00:00Z, or a day, like 2026-11-24";
            (instant.map(jiff::Timestamp::as_microsecond), expected)
        }
        ColumnType::String | ColumnType::Integer | ColumnType::Number | ColumnType::EpochMs | ColumnType::EpochS => {
            (text.parse().ok(), "must be a whole number between -2^63 and 2^63 - 1")
        }
    };
    number.ok_or_else(|| QueryError::value(name, expected))
}

/// Parses values separated by commas, or, for values that contain commas, a JSON array of texts or numbers.
pub(super) fn list(name: &str, value: &str) -> Result<Vec<String>, QueryError> {
    let values: Vec<String> = if value.starts_with('[') {
        let invalid = || {
            QueryError::value(
                name,
                "must be values separated by commas, or a JSON array of texts or whole numbers",
            )
        };
        let array: Vec<serde_json::Value> = serde_json::from_str(value).map_err(|_| invalid())?;
        let text = |element: serde_json::Value| match element {
            serde_json::Value::String(text) => Ok(text),
            serde_json::Value::Number(number) => Ok(number.to_string()),
            _ => Err(invalid()),
        };
        array.into_iter().map(text).collect::<Result<_, _>>()?
    } else {
        value.split(',').map(str::to_owned).collect()
    };
    if values.len() > IN_MAX {
        return Err(QueryError::value(name, &format!("has more than {IN_MAX} values")));
    }
    Ok(values)
}
