//! The fields of the filter form, which follow from the declaration. Filters that have no field are lines of the column filters.

use datalake_core::{
    dataset::{Dataset, FileColumn},
    query::{column::Column, search::SEARCH},
};

use crate::page::query::Query;

/// Most columns with a field for a range, so that the form fits above the rows.
const RANGES_MAX: usize = 3;

/// Most columns with a choice of their values.
const CHOICES_MAX: usize = 3;

/// The parameter that selects rows with or without a file.
pub(crate) fn file_parameter(file: &FileColumn) -> String {
    format!("is_{}_exists", file.name)
}

/// The columns with a range: the first ones with statistics.
pub(crate) fn ranges(dataset: &Dataset) -> impl Iterator<Item = Column> {
    let columns = dataset.stats().iter().filter_map(|name| Column::named(dataset, name));
    columns.take(RANGES_MAX)
}

/// All columns with bounds: those of [`ranges`], then the others.
pub(crate) fn all_ranges(dataset: &Dataset) -> Vec<Column> {
    let first: Vec<Column> = ranges(dataset).collect();
    let others = Column::all(dataset).filter(|column| column.is_ordered(dataset) && !first.contains(column));
    first.iter().copied().chain(others).collect()
}

/// The columns with a range in the form of a query: those of [`ranges`], and others that the query bounds.
pub(crate) fn shown_ranges(dataset: &Dataset, query: &Query) -> Vec<Column> {
    let first = ranges(dataset).count();
    let is_bounded = |column: Column| bounds(dataset, column).iter().any(|name| query.get(name).is_some());
    let columns = all_ranges(dataset).into_iter().enumerate();
    let shown = columns.filter(|(index, column)| *index < first || is_bounded(*column));
    shown.map(|(_, column)| column).collect()
}

/// The parameters of the bounds of a column.
pub(crate) fn bounds(dataset: &Dataset, column: Column) -> [String; 2] {
    ["min", "max"].map(|bound| format!("{bound}_{}", column.name(dataset)))
}

/// The field that selects which bounds of a column apply.
pub(crate) fn mode_field(dataset: &Dataset, column: Column) -> String {
    format!("{}_mode", column.name(dataset))
}

/// The columns with a choice: the first ones with few declared values.
pub(crate) fn choices(dataset: &Dataset) -> impl Iterator<Item = Column> {
    Column::all(dataset)
        .filter(|column| column.categories(dataset).is_some())
        .take(CHOICES_MAX)
}

/// The field of a choice. No column has a name with two underscores, so that it differs from the other fields of the form.
pub(crate) fn choice_field(dataset: &Dataset, column: Column) -> String {
    format!("{}__exact", column.name(dataset))
}

/// A parameter that selects rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFilter<'n> {
    Search,
    /// `is_FILE_exists`, by the index of the file.
    File(usize),
    /// `min_COLUMN`
    Least(Column),
    /// `max_COLUMN`
    Greatest(Column),
    /// A column with an operator.
    Column(Column, &'n str),
}

/// The filter that a parameter is; none for another parameter.
pub(crate) fn row_filter<'n>(dataset: &Dataset, name: &'n str) -> Option<RowFilter<'n>> {
    if name == SEARCH {
        return Some(RowFilter::Search);
    }
    if let Some(file) = dataset.files().iter().position(|file| file_parameter(file) == name) {
        return Some(RowFilter::File(file));
    }
    let ordered = |prefix: &str| Column::named(dataset, name.strip_prefix(prefix)?).filter(|column| column.is_ordered(dataset));
    if let Some(column) = ordered("min_") {
        return Some(RowFilter::Least(column));
    }
    if let Some(column) = ordered("max_") {
        return Some(RowFilter::Greatest(column));
    }
    let (column, operator) = name.split_once("__").unwrap_or((name, "exact"));
    Some(RowFilter::Column(Column::named(dataset, column)?, operator))
}

/// The column and the operator of a column filter; none for another parameter.
pub(crate) fn column_filter<'n>(dataset: &Dataset, name: &'n str) -> Option<(Column, &'n str)> {
    match row_filter(dataset, name)? {
        RowFilter::Column(column, operator) => Some((column, operator)),
        RowFilter::Search | RowFilter::File(_) | RowFilter::Least(_) | RowFilter::Greatest(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::test_dataset::orders;

    #[test]
    fn types_decide_the_fields() {
        let names = |dataset: &Dataset, columns: &mut dyn Iterator<Item = Column>| -> Vec<String> {
            columns.map(|column| column.name(dataset).to_string()).collect()
        };
        let orders = orders();
        assert_eq!(names(&orders, &mut ranges(&orders)), ["quantity", "total", "density"]);
        assert_eq!(names(&orders, &mut choices(&orders)), ["state", "gift"]);
        let users = Dataset::users();
        assert_eq!(names(users, &mut ranges(users)), ["age"]);
        assert_eq!(names(users, &mut choices(users)), [""; 0]);
    }

    #[test]
    fn bounded_column_has_a_range() {
        let orders = orders();
        let check = |pairs: &[(&str, &str)], expected: &[&str]| {
            let shown = shown_ranges(&orders, &Query::new(pairs.iter().copied()));
            let names: Vec<_> = shown.iter().map(|column| column.name(&orders).to_string()).collect();
            assert_eq!(names, expected, "{pairs:?}");
        };
        check(&[("min_total", "1")], &["quantity", "total", "density"]);
        check(&[("max_ordered", "x")], &["quantity", "total", "density", "ordered"]);
        check(
            &[("min_customer", "a"), ("max_paid_at", "")],
            &["quantity", "total", "density", "paid_at"],
        );
    }

    #[test]
    fn parameters_are_filters_by_the_declaration() {
        let orders = orders();
        let named = |name| Column::named(&orders, name).unwrap();
        let check = |name, expected| assert_eq!(row_filter(&orders, name), expected, "{name}");
        check("q", Some(RowFilter::Search));
        check("is_invoice_exists", Some(RowFilter::File(0)));
        check("min_ordered", Some(RowFilter::Least(named("ordered"))));
        check("max_total", Some(RowFilter::Greatest(named("total"))));
        check("min_customer", None);
        check("state__in", Some(RowFilter::Column(named("state"), "in")));
        check("customer", Some(RowFilter::Column(named("customer"), "exact")));
        check("is_image_exists", None);
        check("limit", None);
    }
}
