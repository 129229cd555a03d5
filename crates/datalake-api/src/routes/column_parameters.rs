//! The parameters that are derived from columns, for the OpenAPI description. Each operator of each column is a parameter, so that
//! generated clients can send it.

use std::iter;

use datalake_core::{
    keys,
    query::{
        column::{Column, ColumnKind},
        condition::Operator,
    },
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
        let column = format!("({})", Column::ALL.map(Column::name).join("|"));
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
        let of_column = |column: Column| {
            let operators = Operator::ALL.into_iter().filter(move |operator| operator.applies_to(column.kind()));
            iter::once(None)
                .chain(operators.map(Some))
                .map(move |operator| parameter(column, operator))
        };
        Column::ALL.into_iter().flat_map(of_column).collect()
    }
}

fn parameter(column: Column, operator: Option<Operator>) -> Parameter {
    let name = match operator {
        None => column.name().to_owned(),
        Some(operator) => format!("{column}__{}", operator.name()),
    };
    let operator = operator.unwrap_or(Operator::Exact);
    let description = format!("`{column}` {}.", condition(operator));
    query(&name, &description, schema(column.kind(), operator), example(column, operator))
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

fn schema(kind: ColumnKind, operator: Operator) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    match (kind, operator) {
        (_, Operator::IsNull | Operator::NotNull) => text.pattern(Some(TRUE)),
        (ColumnKind::Text, _) => text,
        (ColumnKind::Number | ColumnKind::Timestamp, Operator::In) => text.pattern(Some(NUMBERS)),
        (ColumnKind::Number | ColumnKind::Timestamp, _) => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
    }
}

fn example(column: Column, operator: Operator) -> Value {
    let texts = |texts: [&str; 2]| texts.map(Value::from);
    let values = match column {
        Column::UserId => texts(["1000", "1001"]),
        Column::FirstName => texts(["Ann", "Bob"]),
        Column::LastName => texts(["Lee", "Fox"]),
        Column::Birthts => [0.into(), 334_540_800_000_i64.into()],
        Column::ImgPath => ["1000", "1001"].map(|user_id| keys::image(user_id).into()),
        Column::Age => [30.into(), 40.into()],
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
