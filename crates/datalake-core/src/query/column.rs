//! The columns that readers are shown, in the order in which they are shown.

use std::fmt;

/// A column of a shown row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// Names the user; text, never null.
    UserId,
    /// Text, never null.
    FirstName,
    /// Text, never null.
    LastName,
    /// Milliseconds since 1970-01-01 UTC; never null.
    Birthts,
    /// The key of the copied picture; null where there is none.
    ImgPath,
    /// Completed years on the day of the question; null for one born after it.
    Age,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Compared by its UTF-8 bytes.
    Text,
    /// 64 bits with sign.
    Number,
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

    /// Those of `output.csv`: what a user's sources say, and no age, which depends on the day.
    pub const STORED: [Self; 5] = [Self::UserId, Self::FirstName, Self::LastName, Self::Birthts, Self::ImgPath];

    /// As parameters and answers spell it.
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

    /// The column of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// What its values are.
    pub fn kind(self) -> ColumnKind {
        match self {
            Self::UserId | Self::FirstName | Self::LastName | Self::ImgPath => ColumnKind::Text,
            Self::Birthts | Self::Age => ColumnKind::Number,
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
