//! Conditions on a column's value, as Datasette words them: `last_name=Lee`, `first_name__contains=an`, `birthts__gte=0`.
//!
//! No value (a null) meets no condition but `isnull`, as in SQL: `img_path__not=x` leaves out those without a picture.

use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    keys,
    nearest::nearest,
    query::{
        column::{Column, ColumnKind},
        error::QueryError,
    },
    row::RowView,
    user::{Age, Ages},
};

/// Values of one `in`: more would not fit a request's line anyway.
const IN_MAX: usize = 1_000;

/// What a condition compares: the part of a parameter's name after the column and two underscores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal; the same as no operator.
    Exact,
    /// Not equal.
    Not,
    /// Contains a text.
    Contains,
    /// Begins with a text.
    StartsWith,
    /// Ends with a text.
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
    /// Every operator, in the order in which users are shown them.
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

    /// As parameters spell it.
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

    /// The operator of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }

    /// Whether columns of this kind have it: numbers have no parts.
    pub fn applies_to(self, kind: ColumnKind) -> bool {
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith => kind == ColumnKind::Text,
            Self::Exact | Self::Not | Self::Gt | Self::Gte | Self::Lt | Self::Lte | Self::In | Self::IsNull | Self::NotNull => true,
        }
    }
}

/// What a value is compared for.
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

/// Where a text stands in another. ASCII letters are the same in either case, as in Datasette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Anywhere,
    Start,
    End,
}

/// What a condition asks of a value.
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

/// A condition on one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    column: Column,
    test: Test,
}

/// A row's value in one column.
enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(i64),
}

impl Condition {
    /// The condition that a parameter words; none where its name begins with no column's.
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
            ColumnKind::Number => number_test(name, operator, value)?,
        };
        Ok(Some(Self { column, test }))
    }

    /// Whether a row meets it.
    pub fn holds(&self, row: &RowView<'_>, ages: Ages) -> bool {
        match (&self.test, self.value(row, ages)) {
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

    /// Whether what it says depends on the day on which ages are counted.
    pub fn depends_on_today(&self) -> bool {
        self.column == Column::Age
    }

    /// How it compares the user's id with another, where it does: rows lie in the order of ids.
    pub fn on_user_id(&self) -> Option<(Comparison, &str)> {
        match (&self.column, &self.test) {
            (Column::UserId, Test::Text(comparison, other)) => Some((*comparison, other)),
            _ => None,
        }
    }

    fn value<'a>(&self, row: &RowView<'a>, ages: Ages) -> Value<'a> {
        match self.column {
            Column::UserId => Value::Text(row.user_id.into()),
            Column::FirstName => Value::Text(row.first_name.into()),
            Column::LastName => Value::Text(row.last_name.into()),
            Column::Birthts => Value::Number(row.birth.as_ms()),
            Column::ImgPath if row.has_image => Value::Text(keys::image(row.user_id).into()),
            Column::ImgPath => Value::Null,
            Column::Age => ages
                .of(row.birth.day())
                .map(Age::years)
                .map_or(Value::Null, |years| Value::Number(years.into())),
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
        let refusal = || QueryError::value(name, "must be a whole number between -2^63 and 2^63 - 1");
        text.trim().parse::<i64>().map_err(|_| refusal())
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
            "looks into texts, and this column holds numbers: use gt, gte, lt, lte, in or not",
        )),
    }
}

fn null_test(test: Test, name: &str, value: &str) -> Result<Test, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "" | "1" | "true" => Ok(test),
        _ => Err(QueryError::value(name, "takes no value, or 1; the opposite of isnull is notnull")),
    }
}

/// Values between commas, or, for values with commas in them, a JSON array of texts or numbers.
fn list(name: &str, value: &str) -> Result<Vec<String>, QueryError> {
    let values: Vec<String> = if value.starts_with('[') {
        let refusal = || QueryError::value(name, "must be values between commas, or a JSON array of texts or whole numbers");
        let array: Vec<serde_json::Value> = serde_json::from_str(value).map_err(|_| refusal())?;
        let text = |element: serde_json::Value| match element {
            serde_json::Value::String(text) => Ok(text),
            serde_json::Value::Number(number) => Ok(number.to_string()),
            _ => Err(refusal()),
        };
        array.into_iter().map(text).collect::<Result<_, _>>()?
    } else {
        value.split(',').map(str::to_owned).collect()
    };
    if values.len() > IN_MAX {
        return Err(QueryError::value(name, &format!("holds over {IN_MAX} values")));
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
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::user::{BirthTimestamp, Day};

    fn rows() -> [RowView<'static>; 3] {
        let row = |user_id, first_name, birthts_ms, has_image| RowView {
            user_id,
            first_name,
            last_name: "O'Hara, Jr",
            birth: BirthTimestamp::from_ms(birthts_ms).unwrap(),
            has_image,
        };
        [
            row("1", "Anna", 0, true),
            row("2", "anton", -1, false),
            row("3", "Zoë", 4_000_000_000_000, true),
        ]
    }

    /// The ids of the rows that meet the condition.
    #[track_caller]
    fn check(name: &str, value: &str, expected: &[&str]) {
        let ages = Ages::on(Day::from_date(date(2026, 11, 24)).unwrap());
        let condition = Condition::parse(name, value).unwrap().expect("the name is a column's");
        let taken: Vec<_> = rows()
            .iter()
            .filter(|row| condition.holds(row, ages))
            .map(|row| row.user_id)
            .collect();
        assert_eq!(taken, expected, "{name}={value}");
    }

    #[track_caller]
    fn check_refused(name: &str, value: &str, nearest: Option<&str>) {
        let error = Condition::parse(name, value).unwrap_err();
        assert_eq!((error.parameter.as_str(), error.nearest.as_deref()), (name, nearest), "{error}");
    }

    #[test]
    fn conditions() {
        check("first_name", "Anna", &["1"]);
        check("first_name__exact", "anna", &[]);
        check("first_name__not", "Anna", &["2", "3"]);
        check("first_name__contains", "AN", &["1", "2"]);
        check("first_name__contains", "", &["1", "2", "3"]);
        check("first_name__contains", "a longer text than any", &[]);
        check("first_name__startswith", "an", &["1", "2"]);
        check("first_name__endswith", "oë", &["3"]);
        check("first_name__gt", "Anna", &["2", "3"]);
        check("first_name__lte", "Zoë", &["1", "3"]); // By bytes: capitals come first.
        check("first_name__in", "Anna,Zoë", &["1", "3"]);
        check("last_name__in", "[\"O'Hara, Jr\"]", &["1", "2", "3"]);
        check("user_id__gte", "2", &["2", "3"]);
        check("birthts", "-1", &["2"]);
        check("birthts__lt", "0", &["2"]);
        check("birthts__gte", "0", &["1", "3"]);
        check("birthts__in", "0, -1", &["1", "2"]);
        check("birthts__in", "[0, -1]", &["1", "2"]);
        check("age", "56", &["1", "2"]);
        check("age__isnull", "", &["3"]);
        check("age__not", "1", &["1", "2"]); // One without an age is not among those of another age.
        check("age__notnull", "1", &["1", "2"]);
        check("img_path__isnull", "true", &["2"]);
        check("img_path__contains", "images/1", &["1"]);
        check("img_path__not", "x", &["1", "3"]);
    }

    #[test]
    fn an_operator_is_parsed_where_it_applies() {
        for column in Column::ALL {
            for operator in Operator::ALL {
                assert_eq!(Operator::named(operator.name()), Some(operator));
                let name = format!("{column}__{}", operator.name());
                let parses = ["1", "text"].map(|value| Condition::parse(&name, value).is_ok());
                assert_eq!(parses.contains(&true), operator.applies_to(column.kind()), "{name}");
            }
        }
    }

    #[test]
    fn refusals() {
        assert_eq!(Condition::parse("firstname", "x"), Ok(None));
        check_refused("first_name__containing", "x", Some("first_name__contains"));
        check_refused("first_name__", "x", None);
        check_refused("first_name__frobnicate_all", "x", None);
        check_refused("birthts", "1e3", None);
        check_refused("birthts__gt", "", None);
        check_refused("birthts__gt", "9223372036854775808", None);
        check_refused("birthts__contains", "1", None);
        check_refused("age__in", "1,x", None);
        check_refused("age__in", "[1.5]", None);
        check_refused("first_name__in", "[null]", None);
        check_refused("first_name__in", "[1", None);
        check_refused("first_name__in", &",".repeat(1_000), None);
        check_refused("img_path__isnull", "False", None);
    }
}
