//! The pages of datasets other than the users: their rows, one row, and the numbers of the overview. Labels, filters and cells follow from the
//! types of the declaration.

mod fields;
pub(crate) mod form_query;
mod list;
pub(crate) mod row;
pub(crate) mod statistics;

use datalake_core::{
    dataset::{ColumnType, Dataset},
    query::column::Column,
    row::Cell,
};

pub(crate) use self::list::RowsPage;

/// Whether these pages show the dataset.
pub(crate) fn is_declared(dataset: &Dataset) -> bool {
    dataset != Dataset::users()
}

/// A name of the declaration as a label: `Ordered year` for `ordered_year`.
fn label(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn text(cell: Cell<'_>) -> String {
    match cell {
        Cell::Value(value) => value.to_string(),
        Cell::Path(parts) => parts.concat(),
    }
}

/// The class of the cells of a column.
fn class(dataset: &Dataset, column: Column) -> &'static str {
    match (column, column.column_type(dataset)) {
        (Column::KEY, _) => "name user-id",
        (_, ColumnType::String) => "name",
        (_, ColumnType::Integer | ColumnType::Number) => "number",
        _ => "nowrap",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        assert_eq!(["ordered_year", "x"].map(label), ["Ordered year", "X"]);
    }
}
