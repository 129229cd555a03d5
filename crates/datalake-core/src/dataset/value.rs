//! The types of columns, and typed values.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    mem,
};

use jiff::Timestamp;

use crate::calendar::Day;

/// The type of a column. The names are those of the Data Package *Table Schema*, apart from the two that count from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnType {
    /// UTF-8, ordered by its bytes.
    String,
    /// A signed 64-bit integer.
    Integer,
    /// A finite 64-bit float.
    Number,
    /// True or false.
    Boolean,
    /// A day of the calendar, without a time.
    Date,
    /// An instant with an offset from UTC (RFC 3339), in microseconds; further digits are cut off.
    DateTime,
    /// An instant as milliseconds since 1970-01-01 UTC, shown as an integer.
    EpochMs,
    /// An instant as seconds since 1970-01-01 UTC, shown as an integer.
    EpochS,
}

impl ColumnType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::String,
        Self::Integer,
        Self::Number,
        Self::Boolean,
        Self::Date,
        Self::DateTime,
        Self::EpochMs,
        Self::EpochS,
    ];

    /// The name in declarations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::EpochMs => "epoch_ms",
            Self::EpochS => "epoch_s",
        }
    }

    /// The type of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column_type| column_type.as_str() == name)
    }

    /// Whether each value has a day of the calendar, from which years can be derived.
    pub fn has_day(self) -> bool {
        matches!(self, Self::Date | Self::DateTime | Self::EpochMs | Self::EpochS)
    }

    /// Whether values have a minimum and a maximum: numbers, days and instants.
    pub fn is_ordered(self) -> bool {
        !matches!(self, Self::String | Self::Boolean)
    }

    /// Whether statistics such as the average are meaningful without further declaration.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Number)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value of a column. `Display` writes it as `output.csv` contains it, without quotes.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a `string`.
    Text(Box<str>),
    /// Of an `integer`.
    Integer(i64),
    /// Of a `number`; finite, and never -0.
    Number(f64),
    /// Of a `boolean`.
    Boolean(bool),
    /// Of a `date`.
    Date(Day),
    /// Of a `datetime`, in microseconds since 1970-01-01 UTC.
    DateTime(i64),
    /// Of an `epoch_ms`, in milliseconds since 1970-01-01 UTC; within the calendar of [`Day`].
    EpochMs(i64),
    /// Of an `epoch_s`, in seconds since 1970-01-01 UTC; within the calendar of [`Day`].
    EpochS(i64),
}

// Numbers are finite, so each is equal to itself.
impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        mem::discriminant(self).hash(state);
        match self {
            Self::Text(text) => text.hash(state),
            Self::Integer(number) | Self::DateTime(number) | Self::EpochMs(number) | Self::EpochS(number) => number.hash(state),
            // Equal numbers have equal bits, because none is -0.
            Self::Number(number) => number.to_bits().hash(state),
            Self::Boolean(value) => value.hash(state),
            Self::Date(day) => day.hash(state),
        }
    }
}

/// A value of a column, borrowed from a [`Value`] or from packed columns. `Display` writes it as `output.csv` contains it, without quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// Of a `string`.
    Text(&'a str),
    /// Of an `integer`.
    Integer(i64),
    /// Of a `number`; finite, and never -0.
    Number(f64),
    /// Of a `boolean`.
    Boolean(bool),
    /// Of a `date`.
    Date(Day),
    /// Of a `datetime`, in microseconds since 1970-01-01 UTC.
    DateTime(i64),
    /// Of an `epoch_ms`, in milliseconds since 1970-01-01 UTC; within the calendar of [`Day`].
    EpochMs(i64),
    /// Of an `epoch_s`, in seconds since 1970-01-01 UTC; within the calendar of [`Day`].
    EpochS(i64),
}

impl Value {
    /// The value without ownership of its text.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Text(text) => ValueRef::Text(text),
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Number(number) => ValueRef::Number(*number),
            Self::Boolean(value) => ValueRef::Boolean(*value),
            Self::Date(day) => ValueRef::Date(*day),
            Self::DateTime(number) => ValueRef::DateTime(*number),
            Self::EpochMs(number) => ValueRef::EpochMs(*number),
            Self::EpochS(number) => ValueRef::EpochS(*number),
        }
    }

    /// The instant of a timestamp, cut off to the precision of the type; none for types of other values than instants.
    pub(crate) fn of_instant(column_type: ColumnType, instant: Timestamp) -> Option<Self> {
        match column_type {
            ColumnType::DateTime => Some(Self::DateTime(instant.as_microsecond())),
            ColumnType::EpochMs => Some(Self::EpochMs(instant.as_millisecond())),
            ColumnType::EpochS => Some(Self::EpochS(instant.as_second())),
            ColumnType::Date => Some(Self::Date(Day::of(instant))),
            ColumnType::String | ColumnType::Integer | ColumnType::Number | ColumnType::Boolean => None,
        }
    }

    /// The column type of the value.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Text(_) => ColumnType::String,
            Self::Integer(_) => ColumnType::Integer,
            Self::Number(_) => ColumnType::Number,
            Self::Boolean(_) => ColumnType::Boolean,
            Self::Date(_) => ColumnType::Date,
            Self::DateTime(_) => ColumnType::DateTime,
            Self::EpochMs(_) => ColumnType::EpochMs,
            Self::EpochS(_) => ColumnType::EpochS,
        }
    }

    /// The order of two values of one type; none for values of different types.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        self.as_ref().compare(other.as_ref())
    }

    /// The UTC day of a date or an instant; none for other values, and for instants outside of the calendar.
    pub fn day(&self) -> Option<Day> {
        self.as_ref().day()
    }
}

impl ValueRef<'_> {
    /// The value with its own text.
    pub fn to_value(self) -> Value {
        match self {
            Self::Text(text) => Value::Text(text.into()),
            Self::Integer(number) => Value::Integer(number),
            Self::Number(number) => Value::Number(number),
            Self::Boolean(value) => Value::Boolean(value),
            Self::Date(day) => Value::Date(day),
            Self::DateTime(number) => Value::DateTime(number),
            Self::EpochMs(number) => Value::EpochMs(number),
            Self::EpochS(number) => Value::EpochS(number),
        }
    }

    /// The order of two values of one type; none for values of different types.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(own), Self::Text(other)) => Some(own.cmp(other)),
            (Self::Integer(own), Self::Integer(other))
            | (Self::DateTime(own), Self::DateTime(other))
            | (Self::EpochMs(own), Self::EpochMs(other))
            | (Self::EpochS(own), Self::EpochS(other)) => Some(own.cmp(&other)),
            (Self::Number(own), Self::Number(other)) => Some(own.total_cmp(&other)),
            (Self::Boolean(own), Self::Boolean(other)) => Some(own.cmp(&other)),
            (Self::Date(own), Self::Date(other)) => Some(own.cmp(&other)),
            _ => None,
        }
    }

    /// The UTC day of a date or an instant; none for other values, and for instants outside of the calendar.
    #[inline]
    pub fn day(self) -> Option<Day> {
        match self {
            Self::Date(day) => Some(day),
            Self::DateTime(microseconds) => Day::from_ms(microseconds.div_euclid(1_000)),
            Self::EpochMs(milliseconds) => Day::from_ms(milliseconds),
            Self::EpochS(seconds) => Day::from_ms(seconds.checked_mul(1_000)?),
            Self::Text(_) | Self::Integer(_) | Self::Number(_) | Self::Boolean(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// From here on, all digits of a number would be longer than its exponent.
        const EXPONENT_FROM: f64 = 1e16;
        const EXPONENT_BELOW: f64 = 1e-5;
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) | Self::EpochMs(number) | Self::EpochS(number) => write!(f, "{number}"),
            Self::Number(number) if *number != 0.0 && !(EXPONENT_BELOW..EXPONENT_FROM).contains(&number.abs()) => write!(f, "{number:e}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Date(day) => write!(f, "{}", day.date()),
            Self::DateTime(microseconds) => match Timestamp::from_microsecond(*microseconds) {
                Ok(instant) => write!(f, "{instant}"),
                Err(_) => write!(f, "{microseconds}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_names_round_trip() {
        for column_type in ColumnType::ALL {
            assert_eq!(ColumnType::parse(column_type.as_str()), Some(column_type));
        }
        assert_eq!(ColumnType::parse("text"), None);
    }

    #[test]
    fn values_are_written_in_their_shortest_form() {
        let check = |value: Value, expected: &str| assert_eq!(value.to_string(), expected, "{value:?}");
        check(Value::Number(1.0), "1");
        check(Value::Number(0.1), "0.1");
        check(Value::Number(-2.5e-7), "-2.5e-7");
        check(Value::Number(1e300), "1e300");
        check(Value::Number(0.0), "0");
        check(Value::Date(Day::of(Timestamp::UNIX_EPOCH)), "1970-01-01");
        check(Value::DateTime(1), "1970-01-01T00:00:00.000001Z");
        check(Value::EpochMs(-1), "-1");
    }

    #[test]
    fn only_dates_and_instants_have_a_day() {
        let date = |value: Value| value.day().map(|day| day.date().to_string());
        assert_eq!(date(Value::EpochMs(-1)).as_deref(), Some("1969-12-31"));
        assert_eq!(date(Value::EpochS(86_400)).as_deref(), Some("1970-01-02"));
        assert_eq!(date(Value::DateTime(-1)).as_deref(), Some("1969-12-31"));
        assert_eq!(date(Value::EpochS(i64::MAX)), None);
        assert_eq!(date(Value::Integer(1)), None);
    }
}
