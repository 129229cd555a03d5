//! Labels and types of columns, and labels of formats. Pages decide by types. Only this file and `row.rs`, which reads the values of a row, and the
//! tables that compare two rows, of a history and of two versions, name columns.

use datalake_api::rows::format::Format;
use datalake_core::query::column::{Column, ColumnKind};

/// The label of a column, as in table headings.
pub(crate) const fn column(column: Column) -> &'static str {
    match column {
        Column::UserId => "User",
        Column::FirstName => "First name",
        Column::LastName => "Last name",
        Column::Birthts => "Born",
        Column::ImgPath => "Image",
        Column::Age => "Age",
    }
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
    match (column, column.kind()) {
        (Column::UserId, _) => ValueType::Id,
        (Column::ImgPath, _) => ValueType::Image,
        (_, ColumnKind::Text) => ValueType::Text,
        (_, ColumnKind::Number) => ValueType::Number,
        (_, ColumnKind::Timestamp) => ValueType::Day,
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
