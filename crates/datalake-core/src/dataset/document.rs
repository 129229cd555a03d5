//! The TOML text of a declaration: its tables in the order in which they are written, and errors at positions of the text.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::error::DatasetError;
use crate::text::quoted;

/// A value of the document.
#[derive(Clone, Debug)]
pub(super) struct Node<'n> {
    text: &'n str,
    value: &'n DeValue<'n>,
    span: Range<usize>,
}

/// A table of the document. Its entries have the order of the text.
#[derive(Clone, Debug)]
pub(super) struct Table<'n> {
    entries: Vec<Entry<'n>>,
}

/// A key of a table, with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry<'n> {
    text: &'n str,
    key_span: Range<usize>,
    pub(super) key: &'n str,
    pub(super) node: Node<'n>,
}

/// Parses a text as TOML.
pub(super) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, DatasetError> {
    DeTable::parse(text).map_err(|error| {
        let (found, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), "valid TOML"));
        let expected = if expected.is_empty() { "valid TOML" } else { expected };
        let span = error.span().unwrap_or_default();
        let at = |found: &str, expected: &str| DatasetError::at(text, span.start, found, expected);
        match found {
            "" => at("the text is not TOML", expected),
            "duplicate key" => {
                let key = text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\'']);
                at(&format!("duplicate key {}", quoted(key)), "each key once")
            }
            _ => at(found, expected),
        }
    })
}

impl<'n> Table<'n> {
    /// The entries of a parsed table of the text.
    pub(super) fn new(text: &'n str, table: &'n DeTable<'n>) -> Self {
        let entry = |(key, value): (&'n Spanned<std::borrow::Cow<'n, str>>, &'n Spanned<DeValue<'n>>)| Entry {
            text,
            key_span: key.span(),
            key: key.get_ref(),
            node: Node {
                text,
                value: value.get_ref(),
                span: value.span(),
            },
        };
        let mut entries: Vec<_> = table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.key_span.start);
        Self { entries }
    }

    /// The entries, in the order of the text.
    pub(super) fn entries(&self) -> &[Entry<'n>] {
        &self.entries
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'n>> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Rejects keys that are not known. `owner` names the table in messages.
    pub(super) fn check_keys(&self, owner: &str, known: &[&str]) -> Result<(), DatasetError> {
        match self.entries.iter().find(|entry| !known.contains(&entry.key)) {
            None => Ok(()),
            Some(entry) => Err(entry
                .error(
                    format!("unknown key {} in {owner}", quoted(entry.key)),
                    format!("one of {}", known.join(", ")),
                )
                .with_nearest(entry.key, known.iter().copied())),
        }
    }
}

impl Entry<'_> {
    /// An error at the key.
    pub(super) fn error(&self, found: impl Into<Box<str>>, expected: impl Into<Box<str>>) -> DatasetError {
        DatasetError::at(self.text, self.key_span.start, found, expected)
    }
}

impl<'n> Node<'n> {
    /// An error at the start of the value.
    pub(super) fn error(&self, found: impl Into<Box<str>>, expected: impl Into<Box<str>>) -> DatasetError {
        DatasetError::at(self.text, self.span.start, found, expected)
    }

    /// An error at a byte of the string; at the start of the value if the string is written with escapes.
    pub(super) fn error_within(&self, offset: usize, found: impl Into<Box<str>>, expected: impl Into<Box<str>>) -> DatasetError {
        let raw = self.text.get(self.span.clone()).unwrap_or_default();
        let start = self.value.as_str().and_then(|string| raw.find(string));
        let at = start.map_or(self.span.start, |start| self.span.start + start + offset);
        DatasetError::at(self.text, at, found, expected)
    }

    /// The error of a value of another type.
    fn error_of_type(&self, expected: &str) -> DatasetError {
        let found = match self.value {
            DeValue::String(text) => format!("the string {}", quoted(text)),
            DeValue::Integer(_) => "an integer".to_owned(),
            DeValue::Float(_) => "a float".to_owned(),
            DeValue::Boolean(value) => value.to_string(),
            DeValue::Datetime(_) => "a date or time".to_owned(),
            DeValue::Array(_) => "an array".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        self.error(found, expected)
    }

    /// Returns the text of a string, or of a date or time without quotes; none for other values.
    pub(super) fn string_or_time(&self) -> Option<std::borrow::Cow<'n, str>> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref().into()),
            DeValue::Datetime(datetime) => Some(datetime.to_string().into()),
            _ => None,
        }
    }

    /// Returns the value as a string, or an error that names `expected`.
    pub(super) fn string(&self, expected: &str) -> Result<&'n str, DatasetError> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.error_of_type(expected)),
        }
    }

    /// Returns the value as a Boolean, or an error.
    pub(super) fn boolean(&self) -> Result<bool, DatasetError> {
        self.value.as_bool().ok_or_else(|| self.error_of_type("true or false"))
    }

    /// Returns the value as an integer, or an error that names `expected`.
    pub(super) fn integer(&self, expected: &str) -> Result<i64, DatasetError> {
        let DeValue::Integer(integer) = self.value else {
            return Err(self.error_of_type(expected));
        };
        i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| self.error("an integer beyond 64 bits", expected))
    }

    /// Whether the value is an integer.
    pub(super) fn is_integer(&self) -> bool {
        self.value.is_integer()
    }

    /// Returns an integer or a finite float as a number, or an error that names `expected`.
    pub(super) fn number(&self, expected: &str) -> Result<f64, DatasetError> {
        let text = match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return Err(self.error_of_type(expected)),
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(self.error(format!("the number {}", quoted(text)), expected)),
        }
    }

    /// Returns the value as a number of bytes or characters from 1 to `max`, or an error.
    pub(super) fn count(&self, max: u32) -> Result<u32, DatasetError> {
        let expected = format!("an integer from 1 to {max}");
        let number = self.integer(&expected)?;
        match u32::try_from(number) {
            Ok(count) if (1..=max).contains(&count) => Ok(count),
            _ => Err(self.error(format!("the integer {number}"), expected)),
        }
    }

    /// Returns the values of an array of at most `max` values, or an error that names `expected`.
    pub(super) fn array(&self, expected: &str, max: usize) -> Result<Vec<Self>, DatasetError> {
        let DeValue::Array(array) = self.value else {
            return Err(self.error_of_type(expected));
        };
        if array.len() > max {
            return Err(self.error(format!("an array of {} values", array.len()), format!("at most {max} values")));
        }
        let node = |value: &'n Spanned<DeValue<'n>>| Self {
            text: self.text,
            value: value.get_ref(),
            span: value.span(),
        };
        Ok(array.iter().map(node).collect())
    }

    /// Returns the value as a table, or an error that names `expected`.
    pub(super) fn table(&self, expected: &str) -> Result<Table<'n>, DatasetError> {
        match self.value {
            DeValue::Table(table) => Ok(Table::new(self.text, table)),
            _ => Err(self.error_of_type(expected)),
        }
    }

    /// Whether the value is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }
}
