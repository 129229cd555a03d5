//! Queries: which rows and columns are returned, in which order, and how many. Parsed from the pairs of a query string.
//!
//! Owns the meaning of every parameter of `/data` and `/stats` except paging. It must never know how rows are stored or encoded.

pub mod as_of;
pub mod column;
pub mod condition;
pub mod error;
pub mod filter;
pub mod order;
pub mod search;
pub mod time;

use std::num::NonZeroU16;

use crate::{
    nearest::nearest,
    query::time::parse_day,
    query::{
        column::Column,
        condition::Condition,
        error::QueryError,
        filter::{AgeBound, Filter, ImageFilter},
        order::Order,
        search::{SEARCH, Search},
    },
    user::Day,
};

/// Most rows of a page: about 2 MB, which a client can process before the connection times out.
const LIMIT_MAX: u16 = 10_000;

/// Most conditions of a query: each is evaluated for every row.
const CONDITIONS_MAX: usize = 32;

/// A query for rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The rows.
    pub filter: Filter,
    /// The day on which ages are computed; none means today.
    pub on: Option<Day>,
    /// The columns, in this order; none means the default columns of the format.
    pub select: Option<Vec<Column>>,
    /// The order of the rows.
    pub order: Order,
    /// The maximum number of rows; none means all.
    pub limit: Option<NonZeroU16>,
}

/// Which parameters a route supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All parameters: the route returns rows.
    Rows,
    /// Filters and the day: the route returns statistics.
    Stats,
}

impl Scope {
    /// The supported parameters, without conditions on columns.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Rows => &[SEARCH, "is_image_exists", "min_age", "max_age", "on", "select", "order", "limit"],
            Self::Stats => &[SEARCH, "is_image_exists", "min_age", "max_age", "on"],
        }
    }

    /// The parameter that a comparison with an operator sign means: `age>=30` is parsed as the name `age>`, and `age>30` as a name without value.
    fn by_sign(name: &str) -> Option<String> {
        let at = name.find(['<', '>', '!'])?;
        let (column, sign) = name.split_at(at);
        let column = Column::named(column)?;
        let operator = match sign {
            ">" => "gte",
            "<" => "lte",
            "!" => "not",
            sign if sign.starts_with('>') => "gt",
            sign if sign.starts_with('<') => "lt",
            _ => return None,
        };
        Some(format!("{column}__{operator}"))
    }

    /// The error for an unknown name. `others` are further parameters of the route.
    fn unknown(self, name: &str, others: &[&str]) -> QueryError {
        let fixed = self.parameters().iter().chain(others).copied();
        let (column, operator) = name
            .split_once("__")
            .map_or((name, None), |(column, operator)| (column, Some(operator)));
        let columns = Column::ALL.map(Column::name);
        let nearest = match operator {
            None => Self::by_sign(name).or_else(|| nearest(name, fixed.clone().chain(columns)).map(str::to_owned)),
            Some(operator) => nearest(column, columns).map(|column| format!("{column}__{operator}")),
        };
        let known: Vec<_> = fixed.collect();
        QueryError {
            parameter: name.to_owned(),
            reason: format!(
                "unknown parameter; known are {}, and columns ({}) with or without an operator, like birthts__gte",
                known.join(", "),
                Column::names()
            ),
            nearest,
        }
    }
}

impl Query {
    /// Parses the decoded pairs of a query string. A repeated name is an error, except that conditions with an operator can be repeated, and all
    /// of them must hold. `others` are further parameters of the route, for messages.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, scope: Scope, others: &[&str]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            if seen.contains(&name) && !name.contains("__") {
                return Err(QueryError::value(name, "given more than once"));
            }
            seen.push(name);
            if scope.parameters().contains(&name) {
                query.set(name, value)?;
            } else if let Some(condition) = Condition::parse(name, value)? {
                query.filter.conditions.push(condition);
            } else {
                return Err(scope.unknown(name, others));
            }
            if query.filter.conditions.len() > CONDITIONS_MAX {
                return Err(QueryError::value(name, &format!("is one condition more than {CONDITIONS_MAX}")));
            }
        }
        let search = query.filter.conditions.iter().find_map(Condition::search).cloned();
        if let Some(search) = search.filter(|_| !seen.contains(&"order")) {
            query.order = Order::best_match_first(search);
        }
        Ok(query)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        match name {
            SEARCH => self.filter.conditions.push(Condition::matching(Search::parse(name, value)?)),
            "is_image_exists" => self.filter.image = Some(parse_image(name, value)?),
            "min_age" => self.filter.min_age = Some(parse_age(name, value)?),
            "max_age" => self.filter.max_age = Some(parse_age(name, value)?),
            "on" => self.on = Some(parse_day(name, value)?),
            "select" => self.select = Some(parse_select(name, value)?),
            "order" => self.order = Order::parse(name, value)?,
            _ => self.limit = Some(parse_limit(name, value)?),
        }
        Ok(())
    }

    /// Whether a response with these columns depends on the day on which ages are computed.
    pub fn depends_on_today(&self, shown: &[Column]) -> bool {
        shown.contains(&Column::Age) || self.filter.depends_on_today() || self.order.depends_on_today()
    }
}

fn parse_image(name: &str, value: &str) -> Result<ImageFilter, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(ImageFilter::With),
        "false" => Ok(ImageFilter::Without),
        _ => Err(QueryError::value(name, "must be True or False")),
    }
}

fn parse_age(name: &str, value: &str) -> Result<AgeBound, QueryError> {
    let invalid = || QueryError::value(name, "must be a whole number of years from 0 to 65535, or have no value");
    match value {
        "" => Ok(AgeBound::Extreme),
        _ if value.bytes().all(|byte| byte.is_ascii_digit()) => value.parse().map(AgeBound::Years).map_err(|_| invalid()),
        _ => Err(invalid()),
    }
}

fn parse_select(name: &str, value: &str) -> Result<Vec<Column>, QueryError> {
    let mut columns = Vec::new();
    for column in value.split(',') {
        let column = order::column_of(name, column)?;
        if columns.contains(&column) {
            return Err(QueryError::value(name, &format!("names {column} more than once")));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn parse_limit(name: &str, value: &str) -> Result<NonZeroU16, QueryError> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit()).then_some(value);
    let limit = digits.and_then(|digits| digits.parse::<NonZeroU16>().ok());
    limit
        .filter(|limit| limit.get() <= LIMIT_MAX)
        .ok_or_else(|| QueryError::value(name, &format!("must be a whole number from 1 to {LIMIT_MAX}; omit it for all rows")))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[track_caller]
    fn check_parse(pairs: &[(&str, &str)], expected: Query) {
        assert_eq!(
            Query::parse(pairs.iter().copied(), Scope::Rows, &[]),
            Ok(expected),
            "pairs: {pairs:?}"
        );
    }

    #[track_caller]
    fn check_rejected(pairs: &[(&str, &str)], parameter: &str, nearest: Option<&str>) {
        let error = Query::parse(pairs.iter().copied(), Scope::Rows, &[]).expect_err("must be an error");
        assert_eq!(
            (error.parameter.as_str(), error.nearest.as_deref()),
            (parameter, nearest),
            "pairs: {pairs:?}"
        );
    }

    #[test]
    fn parameters_are_parsed_and_invalid_ones_rejected() {
        let filter = |filter| Query {
            filter,
            ..Query::default()
        };
        check_parse(&[], Query::default());
        check_parse(
            &[("is_image_exists", "True")],
            filter(Filter {
                image: Some(ImageFilter::With),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("is_image_exists", "fALSE")],
            filter(Filter {
                image: Some(ImageFilter::Without),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("min_age", "")],
            filter(Filter {
                min_age: Some(AgeBound::Extreme),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("max_age", "007")],
            filter(Filter {
                max_age: Some(AgeBound::Years(7)),
                ..Filter::default()
            }),
        );
        let on = Day::from_date(date(2026, 2, 28));
        check_parse(&[("on", "2026-02-28")], Query { on, ..Query::default() });

        check_rejected(&[("is_image_exists", "yes")], "is_image_exists", None);
        check_rejected(&[("is_image_exists", "")], "is_image_exists", None);
        check_rejected(&[("min_age", "-1")], "min_age", None);
        check_rejected(&[("min_age", "+1")], "min_age", None);
        check_rejected(&[("min_age", "30.5")], "min_age", None);
        check_rejected(&[("max_age", "65536")], "max_age", None);
        check_rejected(&[("on", "2026-02-29")], "on", None);
        check_rejected(&[("on", "2026-2-3")], "on", None);
        check_rejected(&[("on", "")], "on", None);
        check_rejected(&[("min_age", "1"), ("min_age", "2")], "min_age", None);
        check_rejected(&[("minage", "1")], "minage", Some("min_age"));
        check_rejected(&[("is_image_exist", "1")], "is_image_exist", Some("is_image_exists"));
        check_rejected(&[("MAX_AGE", "1")], "MAX_AGE", Some("max_age"));
        check_rejected(&[("frobnicate", "1")], "frobnicate", None);
        check_rejected(&[("age>", "30")], "age>", Some("age__gte"));
        check_rejected(&[("age<", "30")], "age<", Some("age__lte"));
        check_rejected(&[("age>30", "")], "age>30", Some("age__gt"));
        check_rejected(&[("birthts<0", "")], "birthts<0", Some("birthts__lt"));
        check_rejected(&[("last_name!", "Lee")], "last_name!", Some("last_name__not"));
        check_rejected(&[("height>", "2")], "height>", None);

        let limit = NonZeroU16::new(100);
        check_parse(&[("limit", "100")], Query { limit, ..Query::default() });
        let select = Some(vec![Column::Age, Column::UserId]);
        check_parse(
            &[("select", "age,user_id")],
            Query {
                select,
                ..Query::default()
            },
        );
        check_rejected(&[("limit", "0")], "limit", None);
        check_rejected(&[("limit", "10001")], "limit", None);
        check_rejected(&[("limit", "")], "limit", None);
        check_rejected(&[("select", "")], "select", None);
        check_rejected(&[("select", "age,age")], "select", None);
        check_rejected(&[("select", "firstname")], "select", Some("first_name"));
        check_rejected(&[("lastname__contains", "x")], "lastname__contains", Some("last_name__contains"));
        check_rejected(&[("last_name", "x"), ("last_name", "y")], "last_name", None);
    }

    #[test]
    fn repeated_conditions_must_all_hold() {
        let parse = |pairs: &[(&'static str, &'static str)]| Query::parse(pairs.iter().copied(), Scope::Stats, &[]);
        let query = parse(&[("first_name__not", "A"), ("first_name__not", "B"), ("last_name", "C")]).unwrap();
        assert_eq!(query.filter.conditions.len(), 3);
        let too_many = [("first_name__not", "A"); CONDITIONS_MAX + 1];
        assert!(parse(&too_many).is_err());
        let error = parse(&[("limit", "1")]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("known are q, is_image_exists, min_age, max_age, on, and columns (user_id"),
            "{error}"
        );
    }

    #[test]
    fn search_without_an_order_has_prefix_matches_first() {
        let parse = |pairs: &[(&'static str, &'static str)]| Query::parse(pairs.iter().copied(), Scope::Rows, &[]).unwrap();
        let search = parse(&[("q", "ann")]);
        assert!(search.order.is_best_match_first() && !search.order.is_by_user_id());
        assert!(!search.filter.is_range_of_ids());
        assert!(parse(&[("q", "ann"), ("order", "user_id")]).order.is_by_user_id());
        assert!(!parse(&[("order", "age"), ("q", "ann")]).order.is_best_match_first());
        check_rejected(&[("q", " ")], "q", None);
        check_rejected(&[("q", "a"), ("q", "b")], "q", None);
    }

    #[test]
    fn query_depends_on_today_if_it_uses_ages() {
        let depends = |pairs: &[(&'static str, &'static str)], shown: &[Column]| {
            Query::parse(pairs.iter().copied(), Scope::Rows, &[])
                .unwrap()
                .depends_on_today(shown)
        };
        assert!(depends(&[], &Column::ALL));
        assert!(!depends(&[("last_name", "Lee"), ("order", "birthts")], &Column::STORED));
        assert!(depends(&[("min_age", "")], &Column::STORED));
        assert!(depends(&[("age__isnull", "")], &Column::STORED));
        assert!(depends(&[("order", "age")], &Column::STORED));
    }
}
