//! Conditions on the value of a column, in the syntax of Datasette: `city=Oslo`, `city__contains=sl`, `amount__gte=0`.
//!
//! A null meets no condition except `isnull`, as in SQL: `city__not=x` does not match rows without a city.

mod allowed;
mod values;

use std::{borrow::Cow, collections::BTreeSet};

use self::values::{integer, list, number};
use crate::{
    calendar::Ages,
    dataset::{ColumnType, Dataset, ValueRef},
    nearest::nearest,
    query::{column::Column, error::QueryError, filter::FileFilter, search::Search},
    row::{Cell, RowView},
};

/// The operator of a condition: the part of the parameter name after the column and two underscores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal; also the meaning of a condition without operator.
    Exact,
    /// Not equal.
    Not,
    /// Contains a text, ignoring ASCII case.
    Contains,
    /// Begins with a text, ignoring ASCII case.
    StartsWith,
    /// Ends with a text, ignoring ASCII case.
    EndsWith,
    /// Greater than.
    Gt,
    /// Greater than or equal to.
    Gte,
    /// Less than.
    Lt,
    /// Less than or equal to.
    Lte,
    /// Equal to one of several values.
    In,
    /// Has no value.
    IsNull,
    /// Has a value.
    NotNull,
}

impl Operator {
    /// Every operator, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::Exact,
        Self::Not,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
        Self::Gt,
        Self::Gte,
        Self::Lt,
        Self::Lte,
        Self::In,
        Self::IsNull,
        Self::NotNull,
    ];

    /// The name in parameters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Not => "not",
            Self::Contains => "contains",
            Self::StartsWith => "startswith",
            Self::EndsWith => "endswith",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::In => "in",
            Self::IsNull => "isnull",
            Self::NotNull => "notnull",
        }
    }

    /// The operator with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }

    /// Whether the operator is supported for columns of this type: numbers have no substrings.
    pub fn applies_to(self, column_type: ColumnType) -> bool {
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith => column_type == ColumnType::String,
            Self::Exact | Self::Not | Self::Gt | Self::Gte | Self::Lt | Self::Lte | Self::In | Self::IsNull | Self::NotNull => true,
        }
    }
}

/// A comparison with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// No operator, or `exact`.
    Equal,
    /// `not`
    NotEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
}

impl Comparison {
    fn holds<T: PartialOrd + ?Sized>(self, value: &T, other: &T) -> bool {
        match self {
            Self::Equal => value == other,
            Self::NotEqual => value != other,
            Self::Greater => value > other,
            Self::GreaterOrEqual => value >= other,
            Self::Less => value < other,
            Self::LessOrEqual => value <= other,
        }
    }
}

/// The position of a text in another. ASCII case is ignored, as in Datasette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Anywhere,
    Start,
    End,
}

/// The test of a condition, for one column type.
#[derive(Clone, Debug, PartialEq)]
enum Test {
    Text(Comparison, Box<str>),
    TextIn(BTreeSet<Box<str>>),
    TextPart(Part, Box<str>),
    /// Of integers, Booleans, days and instants: each is compared as a number.
    Integer(Comparison, i64),
    IntegerIn(BTreeSet<i64>),
    Number(Comparison, f64),
    NumberIn(Vec<f64>),
    IsNull,
    NotNull,
}

/// A condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// On the value of one column. `depends_on_today` states whether the value depends on the day of the query, and `is_id` whether it is the text
    /// of the ID.
    Column {
        column: Column,
        depends_on_today: bool,
        is_id: bool,
        test: Test,
    },
    /// Whether there is a file, by its index in the dataset.
    File(usize, FileFilter),
    /// On all texts together.
    Search(Search),
}

/// A row's value in one column, as it is compared.
enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Number(f64),
}

impl Condition {
    /// Parses the condition of a parameter; none if its name does not begin with a column.
    pub(crate) fn parse(dataset: &Dataset, name: &str, value: &str) -> Result<Option<Self>, QueryError> {
        let (column, operator) = match name.split_once("__") {
            Some((column, operator)) => (column, Some(operator)),
            None => (name, None),
        };
        let Some(column) = Column::named(dataset, column) else {
            return Ok(None);
        };
        let operator = match operator {
            None => Operator::Exact,
            Some(text) => Operator::named(text).ok_or_else(|| unknown_operator(name, column.name(dataset), text))?,
        };
        let column_type = column.column_type(dataset);
        let test = Test::parse(name, operator, value, column_type)?;
        if let Some(allowed) = column.allowed(dataset) {
            allowed::check(allowed, name, operator, value, column_type)?;
        }
        Ok(Some(Self::on(dataset, column, test)))
    }

    /// The condition of a bound of an ordered column, which includes its value. `name` is the parameter.
    pub(crate) fn bound(dataset: &Dataset, name: &str, column: Column, value: &str, operator: Operator) -> Result<Self, QueryError> {
        let test = number_test(name, operator, value, column.column_type(dataset))?;
        Ok(Self::on(dataset, column, test))
    }

    /// The condition that the value of a column is the least or the greatest of some values. Values that are not ordered are never extreme.
    pub fn one_of(dataset: &Dataset, column: Column, values: &[ValueRef<'_>]) -> Self {
        let numbers = values.iter().filter_map(|value| match value {
            ValueRef::Number(number) => Some(*number),
            _ => None,
        });
        let integers = values.iter().filter_map(|value| integer_of(*value));
        let test = match column.column_type(dataset) {
            ColumnType::Number => Test::NumberIn(numbers.collect()),
            _ => Test::IntegerIn(integers.collect()),
        };
        Self::on(dataset, column, test)
    }

    fn on(dataset: &Dataset, column: Column, test: Test) -> Self {
        Self(Kind::Column {
            column,
            depends_on_today: column.depends_on_today(dataset),
            is_id: column.is_whole_id(dataset) && column.column_type(dataset) == ColumnType::String,
            test,
        })
    }

    /// The condition that a row has a file or has none.
    pub(crate) fn file(file: usize, filter: FileFilter) -> Self {
        Self(Kind::File(file, filter))
    }

    /// The condition that a row matches a search.
    pub(crate) fn matching(search: Search) -> Self {
        Self(Kind::Search(search))
    }

    /// The column whose value the condition is on; none for a search, and for a condition on a file.
    pub fn column(&self) -> Option<Column> {
        match &self.0 {
            Kind::Column { column, .. } => Some(*column),
            Kind::Search(_) | Kind::File(..) => None,
        }
    }

    /// The search, if the condition is one.
    pub fn search(&self) -> Option<&Search> {
        match &self.0 {
            Kind::Search(search) => Some(search),
            Kind::Column { .. } | Kind::File(..) => None,
        }
    }

    /// Whether a row meets the condition.
    pub fn holds(&self, row: &RowView<'_>, ages: Ages) -> bool {
        match &self.0 {
            Kind::Search(search) => search.holds(row),
            Kind::File(file, filter) => filter.matches(row.has_file(*file)),
            Kind::Column { column, test, .. } => test.holds(Value::of(*column, row, ages)),
        }
    }

    /// Whether the result depends on the day of the query.
    pub fn depends_on_today(&self) -> bool {
        matches!(
            self.0,
            Kind::Column {
                depends_on_today: true,
                ..
            }
        )
    }

    /// The comparison with an ID, if the condition is one. Rows are ordered by their IDs, so such a condition bounds a range.
    pub fn on_id(&self) -> Option<(Comparison, &str)> {
        match &self.0 {
            Kind::Column {
                is_id: true,
                test: Test::Text(comparison, other),
                ..
            } => Some((*comparison, other)),
            _ => None,
        }
    }
}

impl Test {
    fn parse(name: &str, operator: Operator, value: &str, column_type: ColumnType) -> Result<Self, QueryError> {
        match column_type {
            ColumnType::String => text_test(name, operator, value),
            column_type => number_test(name, operator, value, column_type),
        }
    }

    /// Whether a value passes the test.
    fn holds(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Test::IsNull, value) => matches!(value, Value::Null),
            (_, Value::Null) => false,
            (Test::NotNull, _) => true,
            (Test::Text(comparison, other), Value::Text(value)) => comparison.holds(&*value, &**other),
            (Test::TextIn(others), Value::Text(value)) => others.contains(&*value),
            (Test::TextPart(part, sought), Value::Text(value)) => part.is_in(value.as_bytes(), sought.as_bytes()),
            (Test::Integer(comparison, other), Value::Integer(value)) => comparison.holds(&value, other),
            (Test::IntegerIn(others), Value::Integer(value)) => others.contains(&value),
            (Test::Number(comparison, other), Value::Number(value)) => comparison.holds(&value, other),
            (Test::NumberIn(others), Value::Number(value)) => others.contains(&value),
            _ => unreachable!("a test is parsed for the type of its column"),
        }
    }
}

impl<'a> Value<'a> {
    fn of(column: Column, row: &RowView<'a>, ages: Ages) -> Self {
        match row.cell(column, ages) {
            None => Self::Null,
            Some(Cell::Path(parts)) => Self::Text(parts.concat().into()),
            Some(Cell::Value(value)) => value.into(),
        }
    }
}

impl<'a> From<ValueRef<'a>> for Value<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Text(text) => Self::Text(text.into()),
            ValueRef::Number(number) => Self::Number(number),
            value => integer_of(value).map_or(Self::Null, Self::Integer),
        }
    }
}

/// The number as which a value that is neither a text nor a float is compared.
fn integer_of(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) | ValueRef::DateTime(number) | ValueRef::EpochMs(number) | ValueRef::EpochS(number) => Some(number),
        ValueRef::Boolean(value) => Some(value.into()),
        ValueRef::Date(day) => Some(day.number().into()),
        ValueRef::Text(_) | ValueRef::Number(_) => None,
    }
}

impl Part {
    fn is_in(self, text: &[u8], sought: &[u8]) -> bool {
        match self {
            Self::Anywhere if sought.is_empty() => true,
            Self::Anywhere => text.windows(sought.len()).any(|window| window.eq_ignore_ascii_case(sought)),
            Self::Start => text.get(..sought.len()).is_some_and(|start| start.eq_ignore_ascii_case(sought)),
            Self::End => {
                let start = text.len().checked_sub(sought.len());
                start
                    .and_then(|start| text.get(start..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(sought))
            }
        }
    }
}

fn text_test(name: &str, operator: Operator, value: &str) -> Result<Test, QueryError> {
    let compared = |comparison| Test::Text(comparison, value.into());
    let part = |part| Test::TextPart(part, value.into());
    Ok(match operator {
        Operator::Exact => compared(Comparison::Equal),
        Operator::Not => compared(Comparison::NotEqual),
        Operator::Gt => compared(Comparison::Greater),
        Operator::Gte => compared(Comparison::GreaterOrEqual),
        Operator::Lt => compared(Comparison::Less),
        Operator::Lte => compared(Comparison::LessOrEqual),
        Operator::Contains => part(Part::Anywhere),
        Operator::StartsWith => part(Part::Start),
        Operator::EndsWith => part(Part::End),
        Operator::In => Test::TextIn(list(name, value)?.into_iter().map(String::into_boxed_str).collect()),
        Operator::IsNull => null_test(Test::IsNull, name, value)?,
        Operator::NotNull => null_test(Test::NotNull, name, value)?,
    })
}

fn number_test(name: &str, operator: Operator, value: &str, column_type: ColumnType) -> Result<Test, QueryError> {
    let comparison = match operator {
        Operator::Exact => Comparison::Equal,
        Operator::Not => Comparison::NotEqual,
        Operator::Gt => Comparison::Greater,
        Operator::Gte => Comparison::GreaterOrEqual,
        Operator::Lt => Comparison::Less,
        Operator::Lte => Comparison::LessOrEqual,
        Operator::In => {
            let texts = list(name, value)?;
            let mut texts = texts.iter().map(|text| text.trim());
            return match column_type {
                ColumnType::Number => texts.map(|text| number(name, text)).collect::<Result<_, _>>().map(Test::NumberIn),
                _ => texts
                    .try_fold(BTreeSet::new(), |mut numbers, text| {
                        numbers.insert(integer(name, text, column_type)?);
                        Ok(numbers)
                    })
                    .map(Test::IntegerIn),
            };
        }
        Operator::IsNull => return null_test(Test::IsNull, name, value),
        Operator::NotNull => return null_test(Test::NotNull, name, value),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
            let reason = format!(
                "is an operator for texts, and this column has {}; use gt, gte, lt, lte, in or not",
                plural(column_type)
            );
            return Err(QueryError::value(name, &reason));
        }
    };
    match column_type {
        ColumnType::Number => number(name, value.trim()).map(|number| Test::Number(comparison, number)),
        _ => integer(name, value.trim(), column_type).map(|integer| Test::Integer(comparison, integer)),
    }
}

/// What the values of a type are, for messages.
fn plural(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::String => "texts",
        ColumnType::Integer | ColumnType::Number | ColumnType::EpochMs | ColumnType::EpochS => "numbers",
        ColumnType::Boolean => "true and false",
        ColumnType::Date => "days",
        ColumnType::DateTime => "times",
    }
}

fn null_test(test: Test, name: &str, value: &str) -> Result<Test, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "" | "1" | "true" => Ok(test),
        _ => Err(QueryError::value(name, "takes no value, or 1; isnull and notnull are opposites")),
    }
}

fn unknown_operator(name: &str, column: &str, operator: &str) -> QueryError {
    let known = Operator::ALL.map(Operator::name);
    let nearest = nearest(operator, known);
    QueryError {
        parameter: name.to_owned(),
        reason: "unknown operator".to_owned(),
        known: Some(known.join(", ")),
        nearest: nearest.map(|operator| format!("{column}__{operator}")),
    }
}

#[cfg(test)]
mod tests;
