//! Conditions on the value of a column, in the syntax of Datasette: `last_name=Lee`, `first_name__contains=an`, `birthts__gte=0`.
//!
//! A null meets no condition except `isnull`, as in SQL: `img_path__not=x` does not match rows without an image.

use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    keys,
    nearest::nearest,
    query::{
        column::{Column, ColumnKind},
        error::QueryError,
        search::Search,
    },
    row::RowView,
    user::{Age, Ages},
};

/// Most values of one `in`: more would not fit into a request line.
const IN_MAX: usize = 1_000;

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
    pub fn applies_to(self, kind: ColumnKind) -> bool {
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith => kind == ColumnKind::Text,
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
    fn holds<T: Ord + ?Sized>(self, value: &T, other: &T) -> bool {
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
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Text(Comparison, Box<str>),
    TextIn(BTreeSet<Box<str>>),
    TextPart(Part, Box<str>),
    Number(Comparison, i64),
    NumberIn(BTreeSet<i64>),
    IsNull,
    NotNull,
}

/// A condition on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// On the value of one column.
    Column(Column, Test),
    /// On the user ID and the names together.
    Search(Search),
}

/// A row's value in one column.
enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(i64),
}

impl Condition {
    /// Parses the condition of a parameter; none if its name does not begin with a column.
    pub(crate) fn parse(name: &str, value: &str) -> Result<Option<Self>, QueryError> {
        let (column, operator) = match name.split_once("__") {
            Some((column, operator)) => (column, Some(operator)),
            None => (name, None),
        };
        let Some(column) = Column::named(column) else {
            return Ok(None);
        };
        let operator = match operator {
            None => Operator::Exact,
            Some(text) => Operator::named(text).ok_or_else(|| unknown_operator(name, column, text))?,
        };
        let test = match column.kind() {
            ColumnKind::Text => text_test(name, operator, value)?,
            ColumnKind::Number | ColumnKind::Timestamp => number_test(name, operator, value)?,
        };
        Ok(Some(Self(Kind::Column(column, test))))
    }

    /// The condition that a row matches a search.
    pub(crate) fn matching(search: Search) -> Self {
        Self(Kind::Search(search))
    }

    /// The search, if the condition is one.
    pub fn search(&self) -> Option<&Search> {
        match &self.0 {
            Kind::Search(search) => Some(search),
            Kind::Column(..) => None,
        }
    }

    /// Whether a row meets the condition.
    pub fn holds(&self, row: &RowView<'_>, ages: Ages) -> bool {
        match &self.0 {
            Kind::Search(search) => search.holds(row),
            Kind::Column(column, test) => test.holds(Value::of(*column, row, ages)),
        }
    }

    /// Whether the result depends on the day on which ages are computed.
    pub fn depends_on_today(&self) -> bool {
        matches!(self.0, Kind::Column(Column::Age, _))
    }

    /// The comparison with a user ID, if the condition is one. Rows are ordered by user ID, so such a condition bounds a range.
    pub fn on_user_id(&self) -> Option<(Comparison, &str)> {
        match &self.0 {
            Kind::Column(Column::UserId, Test::Text(comparison, other)) => Some((*comparison, other)),
            _ => None,
        }
    }
}

impl Test {
    /// Whether a value passes the test.
    fn holds(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Test::IsNull, value) => matches!(value, Value::Null),
            (_, Value::Null) => false,
            (Test::NotNull, _) => true,
            (Test::Text(comparison, other), Value::Text(value)) => comparison.holds(&*value, &**other),
            (Test::TextIn(others), Value::Text(value)) => others.contains(&*value),
            (Test::TextPart(part, sought), Value::Text(value)) => part.is_in(value.as_bytes(), sought.as_bytes()),
            (Test::Number(comparison, other), Value::Number(value)) => comparison.holds(&value, other),
            (Test::NumberIn(others), Value::Number(value)) => others.contains(&value),
            (Test::Text(..) | Test::TextIn(_) | Test::TextPart(..), Value::Number(_))
            | (Test::Number(..) | Test::NumberIn(_), Value::Text(_)) => unreachable!("a test is parsed for its column's kind"),
        }
    }
}

impl<'a> Value<'a> {
    fn of(column: Column, row: &RowView<'a>, ages: Ages) -> Self {
        match column {
            Column::UserId => Self::Text(row.user_id.into()),
            Column::FirstName => Self::Text(row.first_name.into()),
            Column::LastName => Self::Text(row.last_name.into()),
            Column::Birthts => Self::Number(row.birth.as_ms()),
            Column::ImgPath if row.has_image => Self::Text(keys::image(row.user_id).into()),
            Column::ImgPath => Self::Null,
            Column::Age => ages
                .of(row.birth.day())
                .map(Age::years)
                .map_or(Self::Null, |years| Self::Number(years.into())),
        }
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

fn number_test(name: &str, operator: Operator, value: &str) -> Result<Test, QueryError> {
    let number = |text: &str| {
        let invalid = || QueryError::value(name, "must be a whole number between -2^63 and 2^63 - 1");
        text.trim().parse::<i64>().map_err(|_| invalid())
    };
    let compared = |comparison| number(value).map(|number| Test::Number(comparison, number));
    match operator {
        Operator::Exact => compared(Comparison::Equal),
        Operator::Not => compared(Comparison::NotEqual),
        Operator::Gt => compared(Comparison::Greater),
        Operator::Gte => compared(Comparison::GreaterOrEqual),
        Operator::Lt => compared(Comparison::Less),
        Operator::Lte => compared(Comparison::LessOrEqual),
        Operator::In => {
            let numbers = list(name, value)?;
            let numbers = numbers.iter().map(|text| number(text)).collect::<Result<_, _>>()?;
            Ok(Test::NumberIn(numbers))
        }
        Operator::IsNull => null_test(Test::IsNull, name, value),
        Operator::NotNull => null_test(Test::NotNull, name, value),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => Err(QueryError::value(
            name,
            "is an operator for texts, and this column has numbers; use gt, gte, lt, lte, in or not",
        )),
    }
}

fn null_test(test: Test, name: &str, value: &str) -> Result<Test, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "" | "1" | "true" => Ok(test),
        _ => Err(QueryError::value(name, "takes no value, or 1; isnull and notnull are opposites")),
    }
}

/// Parses values separated by commas, or, for values that contain commas, a JSON array of texts or numbers.
fn list(name: &str, value: &str) -> Result<Vec<String>, QueryError> {
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

fn unknown_operator(name: &str, column: Column, operator: &str) -> QueryError {
    let known = Operator::ALL.map(Operator::name);
    let nearest = nearest(operator, known);
    QueryError {
        parameter: name.to_owned(),
        reason: format!("unknown operator; known are {}", known.join(", ")),
        nearest: nearest.map(|operator| format!("{column}__{operator}")),
    }
}

#[cfg(test)]
mod tests;
