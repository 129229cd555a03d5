//! Labels of columns and formats.

use datalake_api::rows::format::Format;
use datalake_core::query::column::Column;

/// The label of a column, as in table headings.
pub(crate) fn column(column: Column) -> &'static str {
    match column {
        Column::UserId => "User",
        Column::FirstName => "First name",
        Column::LastName => "Last name",
        Column::Birthts => "Born",
        Column::ImgPath => "Image",
        Column::Age => "Age",
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
