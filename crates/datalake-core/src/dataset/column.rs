//! The columns of a dataset, with the constraints on their values.

use jiff::SignedDuration;
use regex::Regex;

use super::{
    name::Name,
    value::{ColumnType, Value, ValueRef},
};

/// Maximum length of a string, in bytes, if a declaration does not state `maxBytes`: the longest names on record have some 700 letters.
pub const TEXT_BYTES_MAX: u32 = 1_000;

/// A column whose values come from the sources.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name in the table, in responses and in parameters.
    pub name: Name,
    /// The label on pages; none means that it follows from the name.
    pub title: Option<Box<str>>,
    /// Where its values are.
    pub origin: Origin,
    /// The type of its values.
    pub column_type: ColumnType,
    /// What its values must satisfy.
    pub constraints: Constraints,
    /// The format of its days (strptime); none means `%Y-%m-%d`, and for every other type.
    pub date_format: Option<Box<str>>,
}

impl Column {
    /// The text in a key that means a value of this column. There is one for each value, so that each row has one key.
    pub fn key_text(&self, value: ValueRef<'_>) -> String {
        match (value, &self.date_format) {
            (ValueRef::Date(day), Some(format)) => day.date().strftime(&**format).to_string(),
            (value, _) => value.to_string(),
        }
    }
}

/// Where the values of a column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the key: the placeholder of this index.
    Key(usize),
    /// In the content: the name of a header, or a JSON pointer. It is the column's name if the declaration states no `source`.
    Content(Box<str>),
}

/// What the values of a column must satisfy. Constraints that do not apply to the column's type are never set.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraints {
    /// Whether each source must have a value; otherwise the column is null without one.
    pub is_required: bool,
    /// The minimum value. Never relative to the run: a valid row would become invalid although nothing changes.
    pub minimum: Option<Value>,
    /// The maximum value.
    pub maximum: Option<Maximum>,
    /// Minimum number of characters of a string.
    pub length_min: Option<u32>,
    /// Maximum number of characters of a string.
    pub length_max: Option<u32>,
    /// What a string matches as a whole.
    pub pattern: Option<Pattern>,
    /// The values that are allowed (`enum`); none means any.
    pub allowed: Option<Box<[Value]>>,
    /// Maximum number of bytes of a string.
    pub bytes_max: u32,
}

impl Default for Constraints {
    fn default() -> Self {
        Self {
            is_required: true,
            minimum: None,
            maximum: None,
            length_min: None,
            length_max: None,
            pattern: None,
            allowed: None,
            bytes_max: TEXT_BYTES_MAX,
        }
    }
}

/// The maximum value of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Maximum {
    /// A constant.
    Value(Value),
    /// A time relative to the run that reads the source: `run`, `run+24h`.
    FromRun(SignedDuration),
}

/// A regular expression for a whole string.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Box<str>,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Compiles a regular expression, or returns the byte of the cause in its text, and the cause.
    pub(super) fn compile(text: &str) -> Result<Self, (usize, String)> {
        /// Compiled, in bytes: each run compiles the patterns of all columns.
        const SIZE_MAX: usize = 1 << 20;
        regex_syntax::parse(text).map_err(|error| super::regex_error::describe(&error))?;
        let regex = regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(SIZE_MAX).build();
        // A comment of the verbose mode would hide what is appended.
        let regex = regex.map_err(|_| (0, "a regular expression that is too large, or ends with a comment".to_owned()))?;
        Ok(Self { text: text.into(), regex })
    }

    /// The regular expression as declared.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}
