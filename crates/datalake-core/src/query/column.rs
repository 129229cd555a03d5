//! The columns of responses and of `output.csv`, in their order.

use std::fmt;

/// A column of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// The user ID; text, never null.
    UserId,
    /// The first name; text, never null.
    FirstName,
    /// The last name; text, never null.
    LastName,
    /// The birth time in milliseconds since 1970-01-01 UTC; never null.
    Birthts,
    /// The key of the image copy; null if no image is linked.
    ImgPath,
    /// The age in completed years on the day of the query; null for a birth after it.
    Age,
}

/// The type of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Compared by its UTF-8 bytes.
    Text,
    /// A signed 64-bit integer.
    Number,
    /// A time, compared as the number of milliseconds since 1970-01-01 UTC.
    Timestamp,
}

impl Column {
    /// Every column, in order.
    pub const ALL: [Self; 6] = [
        Self::UserId,
        Self::FirstName,
        Self::LastName,
        Self::Birthts,
        Self::ImgPath,
        Self::Age,
    ];

    /// The columns of `output.csv`. The age is not stored, because it depends on the day.
    pub const STORED: [Self; 5] = [Self::UserId, Self::FirstName, Self::LastName, Self::Birthts, Self::ImgPath];

    /// The name in parameters and responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Birthts => "birthts",
            Self::ImgPath => "img_path",
            Self::Age => "age",
        }
    }

    /// The column with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// The type of its values.
    pub fn kind(self) -> ColumnKind {
        match self {
            Self::UserId | Self::FirstName | Self::LastName | Self::ImgPath => ColumnKind::Text,
            Self::Birthts => ColumnKind::Timestamp,
            Self::Age => ColumnKind::Number,
        }
    }

    /// The names of all columns, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
