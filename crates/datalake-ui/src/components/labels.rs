//! Labels and types of columns, and labels of formats. Pages decide by types. Only this file and `row.rs`, which reads the values of a row, and the
//! tables that compare two rows, of a history and of two versions, name columns.

use datalake_api::rows::format::Format;
use datalake_core::{
    dataset::{ColumnType, Dataset},
    query::column::Column,
};

/// The columns of the users.
pub(crate) const USER_ID: Column = Column::KEY;
pub(crate) const FIRST_NAME: Column = Column::Value(1);
pub(crate) const LAST_NAME: Column = Column::Value(2);
pub(crate) const BIRTHTS: Column = Column::Value(3);
pub(crate) const IMG_PATH: Column = Column::File(0);
pub(crate) const AGE: Column = Column::Derived(0);

/// Every column, in the order of responses.
pub(crate) const ALL: [Column; 6] = [USER_ID, FIRST_NAME, LAST_NAME, BIRTHTS, IMG_PATH, AGE];

/// The label of a column, as in table headings.
pub(crate) const fn column(column: Column) -> &'static str {
    match column {
        Column::Value(0) => "User",
        Column::Value(1) => "First name",
        Column::Value(2) => "Last name",
        Column::Value(_) => "Born",
        Column::File(_) => "Image",
        Column::Derived(_) => "Age",
    }
}

/// The name of a column in parameters.
pub(crate) fn name(column: Column) -> &'static str {
    column.name(Dataset::users())
}

/// The column with this name.
pub(crate) fn named(name: &str) -> Option<Column> {
    Column::named(Dataset::users(), name)
}

/// What the values of a column are, which decides how views show and filter them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// Identifies the row, and is the name of its file.
    Id,
    Text,
    /// A day, stored as milliseconds since 1970.
    Day,
    Number,
    /// An image, stored as the key of its copy.
    Image,
}

/// The type of the values of a column.
pub(crate) fn value_type(column: Column) -> ValueType {
    match (column, column.column_type(Dataset::users())) {
        (USER_ID, _) => ValueType::Id,
        (Column::File(_), _) => ValueType::Image,
        (_, ColumnType::String) => ValueType::Text,
        (_, ColumnType::EpochMs) => ValueType::Day,
        _ => ValueType::Number,
    }
}

/// The name of a download format.
pub(crate) fn format(format: Format) -> &'static str {
    match format {
        Format::Json => "JSON",
        Format::Ndjson => "NDJSON",
        Format::Csv => "CSV",
        Format::Parquet => "Parquet",
        Format::Arrow => "Arrow",
    }
}
