//! The parameters that follow from the declaration of a dataset. Each operator of each column is a parameter, so that generated clients can
//! send it.
//!
//! Handlers name groups of them, because their descriptions are fixed when the program is compiled; [`Group::parameters`] has the parameters of
//! a group.

use std::iter;

use datalake_core::{
    dataset::{self as declared, ColumnType, Dataset},
    query::{column::Column, condition::Operator, search::SEARCH},
};
use serde_json::Value;
use utoipa::{
    IntoParams,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Required, Schema, SchemaFormat,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
    },
};

/// Whole numbers separated by commas, or a JSON array.
const NUMBERS: &str = r"^( *-?[0-9]+ *(, *-?[0-9]+ *)*|\[.*\])$";

/// The values of `isnull` and `notnull`; an empty value means `true`.
const TRUE: &str = "^(1|[Tt][Rr][Uu][Ee])?$";

/// `True` or `False`.
const TRUE_OR_FALSE: &str = "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$";

/// A number of completed years, or an empty value.
const YEARS: &str = "^(0*([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$";

/// An integer, or an empty value.
const INTEGER: &str = "^(-?[0-9]{1,18})?$";

/// A day that every month has, or an empty value.
const DAY: &str = "^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8]))?$";

/// Parameters of one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// The ID in the path.
    Row,
    /// Search, files, bounds, and the day of the query.
    Filters,
    /// The day of the query.
    Day,
    /// The columns of the response, and the order of its rows.
    Order,
    /// The conditions on columns.
    Conditions,
}

impl Group {
    const ALL: [Self; 5] = [Self::Row, Self::Filters, Self::Day, Self::Order, Self::Conditions];

    /// The name of the parameter that represents the group. No parameter of a query string has such a name.
    const fn name(self) -> &'static str {
        match self {
            Self::Row => "user_id",
            Self::Filters => "[filters]",
            Self::Day => "[day]",
            Self::Order => "[order]",
            Self::Conditions => "[conditions]",
        }
    }

    /// The group that a parameter of a handler represents.
    pub(super) fn of(parameter: &RefOr<Parameter>) -> Option<Self> {
        let RefOr::T(parameter) = parameter else { return None };
        Self::ALL.into_iter().find(|group| group.name() == parameter.name)
    }

    /// The parameters of the group.
    pub(super) fn parameters(self, dataset: &Dataset) -> Vec<Parameter> {
        match self {
            Self::Row => dataset.columns()[..dataset.id_columns()].iter().map(row_id).collect(),
            Self::Filters => filters(dataset),
            Self::Day => vec![day()],
            Self::Order => order(dataset),
            Self::Conditions => conditions(dataset),
        }
    }
}

macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident: $group:ident in $parameter_in:ident;)+) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl IntoParams for $name {
                fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                    vec![ParameterBuilder::new().name(Group::$group.name()).parameter_in(ParameterIn::$parameter_in).build()]
                }
            }
        )+
    };
}

groups! {
    /// [`Group::Row`]
    RowPath: Row in Path;
    /// [`Group::Filters`]
    FilterParameters: Filters in Query;
    /// [`Group::Day`]
    DayParameter: Day in Query;
    /// [`Group::Order`]
    OrderParameters: Order in Query;
    /// [`Group::Conditions`]
    ConditionsOnColumns: Conditions in Query;
}

/// A value of the ID of a row in a path.
fn row_id(column: &declared::Column) -> Parameter {
    let name = column.name.as_str();
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(64))
        .pattern(Some("^(\\.*[A-Za-z0-9_-][A-Za-z0-9._-]*|\\.{3,})$"));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(format!("The ENTITY's ID: the part `{{{name}}}` of the key of its source.")))
        .schema(Some(schema))
        .example((column.column_type == ColumnType::String).then(|| "1000".into()))
        .build()
}

fn filters(dataset: &Dataset) -> Vec<Parameter> {
    let search = "Words, separated by white space. Each is part of the ID or of another text; the case is ignored in every script. Without \
                  `order`, rows with a text that begins with the words come first.";
    let text = ObjectBuilder::new().schema_type(Type::String);
    let search = query(SEARCH, search, text.pattern(Some("\\S")), "lee");
    let files = dataset.files().iter().map(|file| {
        let description = format!(
            "`True` selects ENTITIES with the file `{0}`, `False` those without. The case is ignored.",
            file.name
        );
        let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(TRUE_OR_FALSE));
        query(&format!("is_{}_exists", file.name), &description, schema, "True")
    });
    let ordered = Column::all(dataset).filter(|column| column.is_ordered(dataset));
    let bounds = ordered.flat_map(|column| {
        let bound = |prefix, word, extreme, example| {
            let name = column.name(dataset);
            let description = format!(
                "The {word} of `{name}`, inclusive. An empty value selects the {extreme} `{name}` among the rows that match all other filters."
            );
            query(&format!("{prefix}_{name}"), &description, bound_schema(dataset, column), text_of(example))
        };
        let [low, high] = values(dataset, column);
        [bound("min", "minimum", "lowest", &low), bound("max", "maximum", "highest", &high)]
    });
    iter::once(search).chain(files).chain(bounds).chain([day()]).collect()
}

fn day() -> Parameter {
    let description = "The day on which completed years are computed, as `YYYY-MM-DD`; today (UTC) by default.";
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
    query("on", description, schema, "2026-11-24")
}

/// The schema of a bound, which is a text because it may be empty.
fn bound_schema(dataset: &Dataset, column: Column) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    match column.column_type(dataset) {
        _ if column.depends_on_today(dataset) => text.pattern(Some(YEARS)),
        ColumnType::Integer | ColumnType::EpochMs | ColumnType::EpochS => text.pattern(Some(INTEGER)),
        ColumnType::Date => text.pattern(Some(DAY)),
        _ => text,
    }
}

fn order(dataset: &Dataset) -> Vec<Parameter> {
    let names = names(dataset);
    let column = format!("({})", names.join("|"));
    let key = format!(r"{column}(\.(asc|desc))?");
    let list = |one: &str| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^{one}(,{one})*$")))
    };
    let (first, last) = (names[0], names[names.len() - 1]);
    let select = "Columns, separated by commas, in the order in which they are shown; all by default.";
    let order = format!(
        "Columns, separated by commas, each optionally followed by `.asc` or `.desc`. Rows without a value come last; equal rows are ordered \
         by `{first}`."
    );
    vec![
        query("select", select, list(&column), format!("{first},{last}")),
        query("order", &order, list(&key), format!("{last}.desc,{first}")),
    ]
}

fn conditions(dataset: &Dataset) -> Vec<Parameter> {
    let of_column = |column: Column| {
        let column_type = column.column_type(dataset);
        let operators = Operator::ALL.into_iter().filter(move |operator| operator.applies_to(column_type));
        iter::once(None)
            .chain(operators.map(Some))
            .map(move |operator| parameter(dataset, column, operator))
    };
    Column::all(dataset).flat_map(of_column).collect()
}

fn names(dataset: &Dataset) -> Vec<&str> {
    Column::all(dataset).map(|column| column.name(dataset).as_str()).collect()
}

fn parameter(dataset: &Dataset, column: Column, operator: Option<Operator>) -> Parameter {
    let column_name = column.name(dataset);
    let name = match operator {
        None => column_name.to_string(),
        Some(operator) => format!("{column_name}__{}", operator.name()),
    };
    let operator = operator.unwrap_or(Operator::Exact);
    let description = format!("`{column_name}` {}.", condition(operator));
    query(
        &name,
        &description,
        allowed_schema(dataset, column, operator).unwrap_or_else(|| schema(column.column_type(dataset), operator)),
        example(dataset, column, operator),
    )
}

fn query(name: &str, description: &str, schema: impl Into<RefOr<Schema>>, example: impl Into<Value>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema))
        .example(Some(example.into()))
        .build()
}

/// The description of the condition, which follows the name of the column.
fn condition(operator: Operator) -> &'static str {
    match operator {
        Operator::Exact => "is equal to this value",
        Operator::Not => "has a value that is not equal to this one",
        Operator::Contains => "contains this text; the case of ASCII letters is ignored",
        Operator::StartsWith => "begins with this text; the case of ASCII letters is ignored",
        Operator::EndsWith => "ends with this text; the case of ASCII letters is ignored",
        Operator::Gt => "is greater than this value",
        Operator::Gte => "is greater than or equal to this value",
        Operator::Lt => "is less than this value",
        Operator::Lte => "is less than or equal to this value",
        Operator::In => "is one of these values: separated by commas, or a JSON array; at most 1,000",
        Operator::IsNull => "is null",
        Operator::NotNull => "is not null",
    }
}

/// The schema of a comparison with the texts of an `enum`. It is a pattern, because generators would have to invent a name for an enumeration. White
/// space is part of a text, but not of other values, which have several notations: they keep the schema of their type.
fn allowed_schema(dataset: &Dataset, column: Column, operator: Operator) -> Option<ObjectBuilder> {
    if column.column_type(dataset) != ColumnType::String {
        return None;
    }
    let values: Vec<_> = column.allowed(dataset)?.iter().map(|value| escaped(&value.to_string())).collect();
    let one = format!("({})", values.join("|"));
    let pattern = match operator {
        Operator::Exact | Operator::Not => format!("^{one}$"),
        Operator::In => format!(r"^({one}(,{one})*|\[.*\])$"),
        _ => return None,
    };
    Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)))
}

/// A text as a regular expression of ECMAScript that matches only it.
fn escaped(text: &str) -> String {
    let escape = |character: char| match character {
        '\\' | '^' | '$' | '.' | '|' | '?' | '*' | '+' | '(' | ')' | '[' | ']' | '{' | '}' | '/' => format!("\\{character}"),
        _ => character.to_string(),
    };
    text.chars().map(escape).collect()
}

fn schema(column_type: ColumnType, operator: Operator) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    match (column_type, operator) {
        (_, Operator::IsNull | Operator::NotNull) => text.pattern(Some(TRUE)),
        (ColumnType::Integer | ColumnType::EpochMs | ColumnType::EpochS, Operator::In) => text.pattern(Some(NUMBERS)),
        (ColumnType::Integer | ColumnType::EpochMs | ColumnType::EpochS, _) => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
        (ColumnType::Number, operator) if operator != Operator::In => ObjectBuilder::new().schema_type(Type::Number),
        (ColumnType::Boolean, operator) if operator != Operator::In => ObjectBuilder::new().schema_type(Type::Boolean),
        _ => text,
    }
}

fn example(dataset: &Dataset, column: Column, operator: Operator) -> Value {
    let values = values(dataset, column);
    match operator {
        Operator::In => values.each_ref().map(text_of).join(",").into(),
        Operator::IsNull | Operator::NotNull => "true".into(),
        _ => {
            let [value, _] = values;
            value
        }
    }
}

/// Two values that a column can have.
fn values(dataset: &Dataset, column: Column) -> [Value; 2] {
    let texts = |texts: [&str; 2]| texts.map(Value::from);
    let ids = ["1000", "1001"];
    if let Some([first, rest @ ..]) = column.allowed(dataset) {
        return [first, rest.first().unwrap_or(first)].map(|value| json(value, column.column_type(dataset)));
    }
    match (column, column.column_type(dataset)) {
        (column, ColumnType::String) if column.is_of_id(dataset) => texts(ids),
        (Column::File(file), _) => ids.map(|id| dataset.files()[file].path(id).concat().into()),
        (_, ColumnType::String) => texts(["Ann", "Lee"]),
        (_, ColumnType::EpochMs) => [0.into(), 334_540_800_000_i64.into()],
        (_, ColumnType::EpochS) => [0.into(), 334_540_800.into()],
        (_, ColumnType::Integer) => [30.into(), 40.into()],
        (_, ColumnType::Number) => [1.5.into(), 2.into()],
        (_, ColumnType::Boolean) => [true.into(), false.into()],
        (_, ColumnType::Date) => texts(["2026-11-24", "2026-11-25"]),
        (_, ColumnType::DateTime) => texts(["2026-11-24T12:00:00Z", "2026-11-25T12:00:00Z"]),
    }
}

/// A value of a column as its schema has it.
fn json(value: &declared::Value, column_type: ColumnType) -> Value {
    let text = value.to_string();
    match column_type {
        ColumnType::String | ColumnType::Date | ColumnType::DateTime => text.into(),
        ColumnType::Integer | ColumnType::Number | ColumnType::Boolean | ColumnType::EpochMs | ColumnType::EpochS => {
            serde_json::from_str(&text).unwrap_or_else(|_| text.into())
        }
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
