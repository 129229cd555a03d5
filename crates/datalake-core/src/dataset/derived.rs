//! Columns whose values follow from other columns, from a closed list of functions.

use std::fmt;

use super::name::Name;

/// A column that is computed when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedColumn {
    /// The name in responses and parameters.
    pub name: Name,
    /// The function.
    pub function: DerivedFunction,
    /// The column or the file that it is applied to.
    pub argument: Name,
    /// The index of the argument in the columns of the dataset, or in its files.
    pub argument_index: usize,
}

impl fmt::Display for DerivedColumn {
    /// The expression as declared: `years(birthts)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.function.as_str(), self.argument)
    }
}

/// What a derived column is computed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DerivedFunction {
    /// Completed calendar years from the value to the requested day.
    Years,
    /// The calendar year of the value, in UTC.
    Year,
    /// The number of characters of the value.
    Length,
    /// Whether the row has the file.
    Has,
}

impl DerivedFunction {
    /// Every function.
    pub const ALL: [Self; 4] = [Self::Years, Self::Year, Self::Length, Self::Has];

    /// The name in declarations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Years => "years",
            Self::Year => "year",
            Self::Length => "length",
            Self::Has => "has",
        }
    }

    /// The function of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.as_str() == name)
    }

    /// Whether the result is an integer, for which statistics exist; otherwise it is true or false.
    pub fn is_numeric(self) -> bool {
        !matches!(self, Self::Has)
    }
}
