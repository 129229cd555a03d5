//! The order of rows: `order=age.desc,last_name`.

use std::cmp::{Ordering, Reverse};

use crate::{
    keys,
    nearest::nearest,
    query::{column::Column, error::QueryError, search::Search},
    row::RowView,
    user::{Age, Ages},
};

/// The direction of a column in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest value first.
    Ascending,
    /// The largest value first.
    Descending,
}

/// The order of rows. The default is `user_id`, ascending by its bytes, which also breaks ties.
///
/// Rows without a value in a column come last in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The search whose prefix matches come first, in a search without an order of its own.
    search: Option<Search>,
    keys: Vec<(Column, Direction)>,
}

impl Order {
    /// Parses columns separated by commas, each with an optional suffix `.asc` (the default) or `.desc`.
    pub(crate) fn parse(name: &str, value: &str) -> Result<Self, QueryError> {
        let mut keys: Vec<(Column, Direction)> = Vec::new();
        for key in value.split(',') {
            let (column, direction) = key.split_once('.').unwrap_or((key, "asc"));
            let column = column_of(name, column)?;
            let direction = match direction {
                "asc" => Direction::Ascending,
                "desc" => Direction::Descending,
                _ => {
                    return Err(QueryError::value(
                        name,
                        "the suffix of a column must be .asc or .desc, like age.desc",
                    ));
                }
            };
            if keys.iter().any(|(earlier, _)| *earlier == column) {
                return Err(QueryError::value(name, &format!("names {column} more than once")));
            }
            keys.push((column, direction));
        }
        // User IDs are unique, so columns after them have no effect.
        if let Some(at) = keys.iter().position(|(column, _)| *column == Column::UserId) {
            keys.truncate(at + 1);
        }
        if keys == [(Column::UserId, Direction::Ascending)] {
            keys.clear();
        }
        Ok(Self { search: None, keys })
    }

    /// Prefix matches of a search first, then by `user_id`.
    pub(crate) fn best_match_first(search: Search) -> Self {
        Self {
            search: Some(search),
            keys: Vec::new(),
        }
    }

    /// The columns by priority; empty for `user_id`, ascending.
    pub fn keys(&self) -> &[(Column, Direction)] {
        &self.keys
    }

    /// Whether the order is that of the table: `user_id`, ascending.
    pub fn is_by_user_id(&self) -> bool {
        self.search.is_none() && self.keys.is_empty()
    }

    /// Whether the prefix matches of a search come first.
    pub fn is_best_match_first(&self) -> bool {
        self.search.is_some()
    }

    /// Whether the order depends on the day on which ages are computed. Births in reverse are not equivalent: users born after that day have no
    /// age.
    pub fn depends_on_today(&self) -> bool {
        self.keys.iter().any(|(column, _)| *column == Column::Age)
    }

    /// Compares two rows. Different users are never equal.
    pub fn compare(&self, left: &RowView<'_>, right: &RowView<'_>, ages: Ages) -> Ordering {
        let by_search = self.search.as_ref().map_or(Ordering::Equal, |search| {
            Reverse(search.is_prefix(left)).cmp(&Reverse(search.is_prefix(right)))
        });
        let by_keys = self
            .keys
            .iter()
            .map(|(column, direction)| by_column(*column, *direction, left, right, ages));
        by_keys
            .fold(by_search, Ordering::then)
            .then_with(|| left.user_id.cmp(right.user_id))
    }
}

/// The column with this name; `name` is the name of the parameter, for the error.
pub(crate) fn column_of(name: &str, column: &str) -> Result<Column, QueryError> {
    Column::named(column).ok_or_else(|| {
        let nearest = nearest(column, Column::ALL.map(Column::name));
        QueryError {
            parameter: name.to_owned(),
            reason: format!("there is no column {column:?}; known are {}", Column::names()),
            nearest: nearest.map(str::to_owned),
        }
    })
}

fn by_column(column: Column, direction: Direction, left: &RowView<'_>, right: &RowView<'_>, ages: Ages) -> Ordering {
    let age = |row: &RowView<'_>| ages.of(row.birth.day()).map(Age::years);
    let path = |row: &RowView<'_>| row.has_image.then(|| keys::image(row.user_id));
    match column {
        Column::UserId => directed(direction, left.user_id, right.user_id),
        Column::FirstName => directed(direction, left.first_name, right.first_name),
        Column::LastName => directed(direction, left.last_name, right.last_name),
        Column::Birthts => directed(direction, left.birth, right.birth),
        Column::ImgPath => nulls_last(direction, path(left), path(right)),
        Column::Age => nulls_last(direction, age(left), age(right)),
    }
}

fn directed<T: Ord>(direction: Direction, left: T, right: T) -> Ordering {
    match direction {
        Direction::Ascending => left.cmp(&right),
        Direction::Descending => Reverse(left).cmp(&Reverse(right)),
    }
}

fn nulls_last<T: Ord>(direction: Direction, left: Option<T>, right: Option<T>) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => directed(direction, left, right),
        (left, right) => left.is_none().cmp(&right.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::user::{BirthTimestamp, Day};

    #[track_caller]
    fn check(order: &str, expected: &str) {
        let row = |user_id, first_name, years: i64, has_image| RowView {
            user_id,
            first_name,
            last_name: "Lee",
            birth: BirthTimestamp::from_ms(years * 31_557_600_000).unwrap(),
            has_image,
        };
        let mut rows = [
            row("a", "Zoë", 20, true),
            row("b", "Ann", 10, false),
            row("c", "Ann", 10, true),
            row("d", "Bo", 90, true),
        ];
        let ages = Ages::on(Day::from_date(date(2026, 11, 24)).unwrap());
        let order = Order::parse("order", order).unwrap();
        rows.sort_by(|left, right| order.compare(left, right, ages));
        assert_eq!(rows.map(|row| row.user_id).concat(), expected, "order={order:?}");
    }

    #[track_caller]
    fn check_rejected(order: &str, nearest: Option<&str>) {
        let error = Order::parse("order", order).unwrap_err();
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
        assert!(Order::parse("order", "user_id.asc").unwrap().is_by_user_id());
        check_rejected("", None);
        check_rejected("ages", Some("age"));
        check_rejected("age.down", None);
        check_rejected("age,age.desc", None);
        check_rejected("age,", None);
    }
}
