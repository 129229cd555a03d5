//! The parameters that are derived from columns, for the OpenAPI description. Each operator of each column is a parameter, so that
//! generated clients can send it.

use std::iter;

use datalake_core::{
    dataset::{ColumnType, Dataset},
    query::{column::Column, condition::Operator},
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

/// The columns of the response, and the order of its rows.
pub(crate) struct OrderParameters;

impl IntoParams for OrderParameters {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let column = format!("({})", names(Dataset::users()).join("|"));
        let key = format!(r"{column}(\.(asc|desc))?");
        let list = |one: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .pattern(Some(format!("^{one}(,{one})*$")))
        };
        let select = "Columns, separated by commas, in the order in which they are shown; all by default.";
        let order = "Columns, separated by commas, each optionally followed by `.asc` or `.desc`. Rows without a value come last; equal rows \
                     are ordered by `user_id`.";
        vec![
            query("select", select, list(&column), "user_id,age"),
            query("order", order, list(&key), "age.desc,last_name"),
        ]
    }
}

/// The conditions on columns.
pub(crate) struct ConditionsOnColumns;

impl IntoParams for ConditionsOnColumns {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let dataset = Dataset::users();
        let of_column = |column: Column| {
            let column_type = column.column_type(dataset);
            let operators = Operator::ALL.into_iter().filter(move |operator| operator.applies_to(column_type));
            iter::once(None)
                .chain(operators.map(Some))
                .map(move |operator| parameter(dataset, column, operator))
        };
        Column::all(dataset).flat_map(of_column).collect()
    }
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
        schema(column.column_type(dataset), operator),
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
    let texts = |texts: [&str; 2]| texts.map(Value::from);
    let ids = ["1000", "1001"];
    let values = match (column, column.column_type(dataset)) {
        (Column::KEY, _) => texts(ids),
        (Column::File(file), _) => ids.map(|id| dataset.files()[file].path(id).concat().into()),
        (Column::Value(1), ColumnType::String) => texts(["Ann", "Bob"]),
        (_, ColumnType::String) => texts(["Lee", "Fox"]),
        (_, ColumnType::EpochMs) => [0.into(), 334_540_800_000_i64.into()],
        (_, ColumnType::EpochS) => [0.into(), 334_540_800.into()],
        (_, ColumnType::Integer) => [30.into(), 40.into()],
        (_, ColumnType::Number) => [1.5.into(), 2.into()],
        (_, ColumnType::Boolean) => [true.into(), false.into()],
        (_, ColumnType::Date) => texts(["2026-11-24", "2026-11-25"]),
        (_, ColumnType::DateTime) => texts(["2026-11-24T12:00:00Z", "2026-11-25T12:00:00Z"]),
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match operator {
        Operator::In => values.each_ref().map(text).join(",").into(),
        Operator::IsNull | Operator::NotNull => "true".into(),
        _ => {
            let [value, _] = values;
            value
        }
    }
}
