//! The schemas that follow from the declaration of a dataset: its rows and statistics.
//!
//! Handlers name them, because their descriptions are fixed when the program is compiled; [`of_dataset`] has their content.

use std::borrow::Cow;

use datalake_core::{
    dataset::{ColumnType, Dataset, DerivedFunction, FileColumn},
    query::column::Column,
    text::capitalized,
};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = $schema_name:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Serialize)]
            pub(crate) struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    ObjectBuilder::new().into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    $schema_name.into()
                }
            }
        )+
    };
}

schemas! {
    /// The selected columns of a row.
    ShownRow = "ShownRow";
    /// A row as a version of the table stores it.
    StoredRow = "StoredRow";
    /// A row with its derived columns.
    RowSchema = "Row";
    /// The statistics of rows.
    StatisticsSchema = "Statistics";
}

/// The schemas by their names.
pub(super) fn of_dataset(dataset: &Dataset) -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![
        (ShownRow::name().into(), shown_row(dataset).into()),
        (StoredRow::name().into(), stored_row(dataset).into()),
        (RowSchema::name().into(), row(dataset)),
        (StatisticsSchema::name().into(), statistics(dataset).into()),
    ];
    let counted = distributions(dataset).map(|column| (count_name(dataset, column), value_count(dataset, column).into()));
    schemas.extend(counted);
    schemas
}

fn shown_row(dataset: &Dataset) -> ObjectBuilder {
    let object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("The selected columns of a row."));
    Column::all(dataset).fold(object, |object, column| {
        object.property(column.name(dataset).as_str(), value(dataset, column))
    })
}

fn stored_row(dataset: &Dataset) -> ObjectBuilder {
    let description = "A row as a version of the table stores it. It has no derived columns, which may depend on a day.";
    with_columns(dataset, Column::stored(dataset)).description(Some(description))
}

fn row(dataset: &Dataset) -> RefOr<Schema> {
    let derived = (0..dataset.derived().len()).map(Column::Derived);
    let stored = AllOfBuilder::new()
        .description(Some("A row, with its derived columns on the requested day."))
        .item(Ref::from_schema_name(StoredRow::name()));
    stored.item(with_columns(dataset, derived)).into()
}

fn with_columns(dataset: &Dataset, columns: impl Iterator<Item = Column>) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    columns.fold(object, |object, column| {
        let name = column.name(dataset).as_str();
        object.property(name, value(dataset, column)).required(name)
    })
}

/// The value of a column.
fn value(dataset: &Dataset, column: Column) -> ObjectBuilder {
    let (schema_type, format) = json_type(dataset, column);
    let is_nullable = is_nullable(dataset, column);
    let allowed = match column {
        // A column that may be null has null as a further value.
        Column::Value(index) if schema_type == Type::String && !is_nullable => dataset.columns()[index].constraints.allowed.as_deref(),
        _ => None,
    };
    let counts_from_zero = match column {
        Column::Derived(index) => matches!(dataset.derived()[index].function, DerivedFunction::Years | DerivedFunction::Length),
        Column::Value(_) | Column::File(_) => false,
    };
    let object = ObjectBuilder::new()
        .schema_type(if is_nullable { nullable(schema_type) } else { schema_type.into() })
        .format(format.map(SchemaFormat::KnownFormat))
        .description(description(dataset, column))
        .enum_values(allowed.map(|allowed| allowed.iter().map(ToString::to_string)));
    match column {
        column if column.is_of_id(dataset) && column.column_type(dataset) == ColumnType::String => object.examples(["1000"]),
        _ if counts_from_zero => object.minimum(Some(0_u32)),
        _ => object,
    }
}

fn json_type(dataset: &Dataset, column: Column) -> (Type, Option<KnownFormat>) {
    match column.column_type(dataset) {
        ColumnType::String => (Type::String, None),
        ColumnType::Integer if matches!(column, Column::Derived(_)) => (Type::Integer, Some(KnownFormat::Int32)),
        ColumnType::Integer | ColumnType::EpochMs | ColumnType::EpochS => (Type::Integer, Some(KnownFormat::Int64)),
        ColumnType::Number => (Type::Number, Some(KnownFormat::Double)),
        ColumnType::Boolean => (Type::Boolean, None),
        ColumnType::Date => (Type::String, Some(KnownFormat::Date)),
        ColumnType::DateTime => (Type::String, Some(KnownFormat::DateTime)),
    }
}

fn nullable(schema_type: Type) -> SchemaType {
    SchemaType::from_iter([schema_type, Type::Null])
}

fn is_nullable(dataset: &Dataset, column: Column) -> bool {
    let is_optional = |index: usize| !dataset.columns()[index].constraints.is_required;
    match column {
        Column::Value(index) => is_optional(index),
        Column::File(_) => true,
        Column::Derived(index) => {
            let derived = &dataset.derived()[index];
            match derived.function {
                DerivedFunction::Years => true,
                DerivedFunction::Year | DerivedFunction::Length => is_optional(derived.argument_index),
                DerivedFunction::Has => false,
            }
        }
    }
}

fn description(dataset: &Dataset, column: Column) -> Option<String> {
    Some(match column {
        Column::KEY if column.is_whole_id(dataset) && column.column_type(dataset) == ColumnType::String => {
            "The ID of the row; a string, even if it looks like a number.".to_owned()
        }
        column if column.is_of_id(dataset) && column.column_type(dataset) == ColumnType::String => {
            "A part of the ID of the row; a string, even if it looks like a number.".to_owned()
        }
        column if column.is_of_id(dataset) => "A part of the ID of the row.".to_owned(),
        Column::Value(_) => match column.column_type(dataset) {
            ColumnType::EpochMs => "Milliseconds since 1970-01-01 UTC.".to_owned(),
            ColumnType::EpochS => "Seconds since 1970-01-01 UTC.".to_owned(),
            _ => return None,
        },
        Column::File(index) => match &dataset.files()[index] {
            FileColumn {
                name, copy_to: Some(_), ..
            } => format!("The key of the copy of the file `{name}` in the lake; null without the file."),
            FileColumn { name, .. } => format!("The key of the file `{name}` in the lake; null without the file."),
        },
        Column::Derived(index) => {
            let derived = &dataset.derived()[index];
            let argument = &derived.argument;
            match derived.function {
                DerivedFunction::Years => format!("Completed years from `{argument}` to the requested day; null if it is later."),
                DerivedFunction::Year => format!("The calendar year of `{argument}` in UTC."),
                DerivedFunction::Length => format!("The number of characters of `{argument}`."),
                DerivedFunction::Has => format!("Whether the row has the file `{argument}`."),
            }
        }
    })
}

fn statistics(dataset: &Dataset) -> ObjectBuilder {
    let count = |description: String| {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0_u32))
            .description(Some(description))
    };
    let number = |description: String| {
        ObjectBuilder::new()
            .schema_type(nullable(Type::Number))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)))
            .description(Some(description))
    };
    let extreme = |column: Column, word: &str| {
        let (schema_type, format) = json_type(dataset, column);
        ObjectBuilder::new()
            .schema_type(nullable(schema_type))
            .format(format.map(SchemaFormat::KnownFormat))
            .description(Some(format!("The {word} `{}`.", column.name(dataset))))
    };
    let on = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
        .description(Some("The day on which completed years are computed."));
    let mut properties = vec![
        ("version".to_owned(), RefOr::from(count("The version of the table.".to_owned()))),
        ("on".to_owned(), on.into()),
        ("count".to_owned(), count("The number of ENTITIES.".to_owned()).into()),
    ];
    for column in columns_with_statistics(dataset) {
        let name = column.name(dataset);
        properties.extend([
            (
                format!("average_{name}"),
                number(format!("The mean of `{name}`; null if no row has a value.")).into(),
            ),
            (format!("min_{name}"), extreme(column, "least").into()),
            (format!("max_{name}"), extreme(column, "greatest").into()),
            (
                format!("median_{name}"),
                number(format!("The middle `{name}`, or the mean of the two middle ones.")).into(),
            ),
        ]);
    }
    for FileColumn { name, .. } in dataset.files() {
        properties.extend([
            (
                format!("with_{name}"),
                count(format!("The number of ENTITIES with the file `{name}`.")).into(),
            ),
            (
                format!("without_{name}"),
                count(format!("The number of ENTITIES without the file `{name}`.")).into(),
            ),
        ]);
    }
    let description = "Statistics of ENTITIES. Rows without a value in a column are counted, but are not part of the column's statistics.";
    let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(description));
    let object = properties.into_iter().fold(object, |object, (name, schema)| {
        object.property(name.clone(), schema).required(name)
    });
    distributions(dataset).fold(object, |object, column| {
        let name = column.name(dataset);
        let by_value = ArrayBuilder::new()
            .items(Ref::from_schema_name(count_name(dataset, column)))
            .description(Some(format!(
                "The number of ENTITIES by `{name}`, ascending; absent with more than 1,000 different values."
            )));
        object.property(format!("by_{name}"), by_value)
    })
}

fn columns_with_statistics(dataset: &Dataset) -> impl Iterator<Item = Column> {
    dataset.stats().iter().filter_map(|name| Column::named(dataset, name))
}

/// The columns with a distribution: integers.
fn distributions(dataset: &Dataset) -> impl Iterator<Item = Column> {
    columns_with_statistics(dataset).filter(|column| column.column_type(dataset) == ColumnType::Integer)
}

fn count_name(dataset: &Dataset, column: Column) -> String {
    pascal_case(column.name(dataset)) + "Count"
}

/// `OrderedYear` for `ordered_year`. A digit has no upper case that would mark the start of a word, so the underscore before it remains: different
/// names have different results.
fn pascal_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().map(capitalized).unwrap_or_default();
    words.fold(first, |text, word| {
        let separator = if word.starts_with(|first: char| first.is_ascii_digit()) {
            "_"
        } else {
            ""
        };
        text + separator + &capitalized(word)
    })
}

fn value_count(dataset: &Dataset, column: Column) -> ObjectBuilder {
    let name = column.name(dataset).as_str();
    let count = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0_u32))
        .description(Some("The number of ENTITIES."));
    let (schema_type, format) = json_type(dataset, column);
    let value = ObjectBuilder::new()
        .schema_type(schema_type)
        .format(format.map(SchemaFormat::KnownFormat))
        .description(Some(format!("The value of `{name}`.")));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(format!("The number of ENTITIES of one `{name}`.")))
        .property(name, value)
        .required(name)
        .property("count", count)
        .required("count")
}

#[cfg(test)]
mod tests {
    use super::pascal_case;

    #[test]
    fn different_names_have_different_schemas() {
        let check = |name: &str, expected: &str| assert_eq!(pascal_case(name), expected, "{name}");
        check("age", "Age");
        check("ordered_year", "OrderedYear");
        check("od600", "Od600");
        check("od_600", "Od_600");
        check("od_600_nm", "Od_600Nm");
    }
}
