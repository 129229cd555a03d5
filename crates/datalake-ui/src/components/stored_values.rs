//! Tables that compare stored rows, of a history and of two versions: their columns, and the values of rows that may have other declarations.

use datalake_core::{
    calendar::{Ages, Day},
    dataset::{Dataset, ValueRef},
    query::column::Column,
    row::{Cell, RowView},
};

use crate::components::{
    labels::{self, ValueType},
    table,
};

/// Most columns of values in a table. With more columns, it has only those that differ.
const COLUMNS_MAX: usize = 8;

/// The columns of values for a table: all but the ID, or if there are too many the first that differ.
pub(crate) fn columns(dataset: &Dataset, differs: impl Fn(Column) -> bool) -> Vec<Column> {
    let all: Vec<Column> = Column::stored(dataset).filter(|column| !column.is_of_id(dataset)).collect();
    match all.len() {
        ..=COLUMNS_MAX => all,
        _ => all.into_iter().filter(|column| differs(*column)).take(COLUMNS_MAX).collect(),
    }
}

/// The labels of columns.
pub(crate) fn labels(dataset: &Dataset, columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| labels::column(dataset, *column)).collect()
}

/// A column of a table with a label.
pub(crate) fn table_column<'a>(dataset: &Dataset, column: Column, label: &'a str) -> table::Column<'a> {
    let kind = match labels::value_type(dataset, column) {
        ValueType::Id | ValueType::Text => table::ColumnType::Text,
        ValueType::Number | ValueType::Boolean | ValueType::Day | ValueType::File => table::ColumnType::Word,
    };
    table::Column::new(label, kind)
}

/// The value of a row in a stored column of `dataset`. The row may have another declaration: then it is the column of the same name. The value of a
/// file is whether there is one.
pub(crate) fn value<'a>(row: RowView<'a>, dataset: &Dataset, column: Column) -> Option<ValueRef<'a>> {
    let column = match std::ptr::eq(row.dataset(), dataset) {
        true => column,
        false => Column::named(row.dataset(), column.name(dataset))?,
    };
    if let Column::File(file) = column {
        return Some(ValueRef::Boolean(row.has_file(file)));
    }
    // No stored column depends on the day.
    match row.cell(column, Ages::on(Day::FIRST))? {
        Cell::Value(value) => Some(value),
        Cell::Path(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::test_dataset::orders;

    #[test]
    fn table_of_many_columns_has_those_that_differ() {
        let users = Dataset::users();
        assert_eq!(
            labels(users, &columns(users, |_| false)),
            ["First name", "Last name", "Born", "Image"]
        );
        let orders = orders();
        let total = Column::named(&orders, "total").unwrap();
        assert_eq!(labels(&orders, &columns(&orders, |column| column == total)), ["Total"]);
    }
}
