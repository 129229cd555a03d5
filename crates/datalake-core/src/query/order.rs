//! The order of rows: `order=amount.desc,city`.

use std::cmp::{Ordering, Reverse};

use crate::{
    calendar::Ages,
    dataset::{ColumnType, Dataset},
    nearest::nearest,
    query::{column::Column, error::QueryError, search::Search},
    row::{Cell, RowView},
};

/// The direction of a column in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest value first.
    Ascending,
    /// The largest value first.
    Descending,
}

/// The order of rows. The default is that of the IDs, ascending by their bytes, which also breaks ties.
///
/// Rows without a value in a column come last in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The search whose prefix matches come first, in a search without an order of its own.
    search: Option<Search>,
    keys: Vec<(Column, Direction)>,
    /// Whether a column of the order depends on the day of the query.
    depends_on_today: bool,
}

impl Order {
    /// Parses columns separated by commas, each with an optional suffix `.asc` (the default) or `.desc`.
    pub(crate) fn parse(dataset: &Dataset, name: &str, value: &str) -> Result<Self, QueryError> {
        let mut keys: Vec<(Column, Direction)> = Vec::new();
        for key in value.split(',') {
            let (column, direction) = key.split_once('.').unwrap_or((key, "asc"));
            let column = column_of(dataset, name, column)?;
            let direction = match direction {
                "asc" => Direction::Ascending,
                "desc" => Direction::Descending,
                _ => {
                    let example = Column::all(dataset).last().unwrap_or(Column::KEY).name(dataset);
                    let reason = format!("the suffix of a column must be .asc or .desc, like {example}.desc");
                    return Err(QueryError::value(name, &reason));
                }
            };
            if keys.iter().any(|(earlier, _)| *earlier == column) {
                return Err(QueryError::value(name, &format!("names {} more than once", column.name(dataset))));
            }
            keys.push((column, direction));
        }
        // IDs are unique, so columns after them have no effect.
        if let Some(at) = keys.iter().position(|(column, _)| column.is_whole_id(dataset)) {
            keys.truncate(at + 1);
        }
        // Rows of equal keys are in the order of IDs, which begin with the first value.
        let is_by_text = Column::KEY.column_type(dataset) == ColumnType::String;
        if is_by_text && keys == [(Column::KEY, Direction::Ascending)] {
            keys.clear();
        }
        Ok(Self {
            search: None,
            depends_on_today: keys.iter().any(|(column, _)| column.depends_on_today(dataset)),
            keys,
        })
    }

    /// Prefix matches of a search first, then by `user_id`.
    pub(crate) fn best_match_first(search: Search) -> Self {
        Self {
            search: Some(search),
            ..Self::default()
        }
    }

    /// The columns by priority; empty for `user_id`, ascending.
    pub fn keys(&self) -> &[(Column, Direction)] {
        &self.keys
    }

    /// Whether the order is that of the table: `user_id`, ascending.
    pub fn is_by_id(&self) -> bool {
        self.search.is_none() && self.keys.is_empty()
    }

    /// Whether the prefix matches of a search come first.
    pub fn is_best_match_first(&self) -> bool {
        self.search.is_some()
    }

    /// Whether the order depends on the day on which ages are computed. Births in reverse are not equivalent: after that day, a birth has no
    /// age.
    pub fn depends_on_today(&self) -> bool {
        self.depends_on_today
    }

    /// Compares two rows. Different rows are never equal.
    pub fn compare(&self, left: &RowView<'_>, right: &RowView<'_>, ages: Ages) -> Ordering {
        let by_search = self.search.as_ref().map_or(Ordering::Equal, |search| {
            Reverse(search.is_prefix(left)).cmp(&Reverse(search.is_prefix(right)))
        });
        let by_keys = self
            .keys
            .iter()
            .map(|(column, direction)| by_column(*column, *direction, left, right, ages));
        by_keys.fold(by_search, Ordering::then).then_with(|| left.row_id.cmp(right.row_id))
    }
}

/// The column with this name; `name` is the name of the parameter, for the error.
pub(crate) fn column_of(dataset: &Dataset, name: &str, column: &str) -> Result<Column, QueryError> {
    Column::named(dataset, column).ok_or_else(|| {
        let nearest = nearest(column, Column::all(dataset).map(|column| column.name(dataset).as_str()));
        QueryError {
            parameter: name.to_owned(),
            reason: format!("there is no column {column:?}"),
            known: Some(Column::names(dataset)),
            nearest: nearest.map(str::to_owned),
        }
    })
}

/// Compares the values of one column. Rows without a value come last in both directions.
fn by_column(column: Column, direction: Direction, left: &RowView<'_>, right: &RowView<'_>, ages: Ages) -> Ordering {
    match (left.cell(column, ages), right.cell(column, ages)) {
        (Some(left), Some(right)) => directed(direction, compare(left, right)),
        (left, right) => left.is_none().cmp(&right.is_none()),
    }
}

/// Compares two values of one column.
fn compare(left: Cell<'_>, right: Cell<'_>) -> Ordering {
    match (left, right) {
        (Cell::Value(left), Cell::Value(right)) => left.compare(right).unwrap_or(Ordering::Equal),
        (Cell::Path(left), Cell::Path(right)) => left.concat().cmp(&right.concat()),
        (Cell::Value(_), Cell::Path(_)) | (Cell::Path(_), Cell::Value(_)) => Ordering::Equal,
    }
}

fn directed(direction: Direction, order: Ordering) -> Ordering {
    match direction {
        Direction::Ascending => order,
        Direction::Descending => order.reverse(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::{calendar::Day, row::test_rows::user};

    #[track_caller]
    fn check(order: &str, expected: &str) {
        let row = |row_id, first_name, years: i64, has_image| user(row_id, [first_name, "Lee"], years * 31_557_600_000, has_image);
        let rows = [
            row("a", "Zoë", 20, true),
            row("b", "Ann", 10, false),
            row("c", "Ann", 10, true),
            row("d", "Bo", 90, true),
        ];
        let mut rows = rows.each_ref().map(|row| row.view(Dataset::users()));
        let ages = Ages::on(Day::from_date(date(2026, 11, 24)).unwrap());
        let order = Order::parse(Dataset::users(), "order", order).unwrap();
        rows.sort_by(|left, right| order.compare(left, right, ages));
        assert_eq!(rows.map(|row| row.row_id).concat(), expected, "order={order:?}");
    }

    #[track_caller]
    fn check_rejected(order: &str, nearest: Option<&str>) {
        let error = Order::parse(Dataset::users(), "order", order).unwrap_err();
        assert_eq!((error.parameter.as_str(), error.nearest.as_deref()), ("order", nearest), "{error}");
    }

    #[test]
    fn orders_are_parsed_and_applied() {
        check("user_id", "abcd");
        check("user_id.desc", "dcba");
        check("user_id.desc,last_name", "dcba");
        check("first_name", "bcda");
        check("first_name.desc,user_id.desc", "adcb");
        check("birthts", "bcad");
        check("age", "abcd"); // A row without an age comes last,
        check("age.desc", "bcad"); // in both directions.
        check("img_path.desc", "dcab");
        check("last_name,age.desc,first_name.asc", "bcad");
        assert!(Order::parse(Dataset::users(), "order", "user_id.asc").unwrap().is_by_id());
        check_rejected("", None);
        check_rejected("ages", Some("age"));
        check_rejected("age.down", None);
        check_rejected("age,age.desc", None);
        check_rejected("age,", None);
    }
}
