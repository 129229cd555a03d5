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
    calendar::Day,
    dataset::Dataset,
    nearest::nearest,
    query::time::parse_day,
    query::{
        column::Column,
        condition::{Condition, Operator},
        error::QueryError,
        filter::{Extreme, FileFilter, Filter, YearsBound},
        order::Order,
        search::{SEARCH, Search},
    },
};

/// Maximum number of rows of a page: about 2 MB, which a client can process before the connection times out.
const LIMIT_MAX: u16 = 10_000;

/// Maximum number of conditions of a query: each is evaluated for every row.
const CONDITIONS_MAX: usize = 32;

/// A query for rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// The rows.
    pub filter: Filter,
    /// The day on which completed years are computed; none means today.
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
    /// The supported parameters, without conditions on columns. Bounds exist for every ordered column; those of numbers are listed.
    pub fn parameters(self, dataset: &Dataset) -> Vec<String> {
        let files = dataset.files().iter().map(|file| format!("is_{}_exists", file.name));
        let bounds = Self::bounds(dataset, |column| column.is_numeric(dataset));
        let others = match self {
            Self::Rows => ["on", "select", "order", "limit"].as_slice(),
            Self::Stats => &["on"],
        };
        let others = others.iter().copied().map(str::to_owned);
        [SEARCH.to_owned()].into_iter().chain(files).chain(bounds).chain(others).collect()
    }

    /// The bounds of the ordered columns that are listed.
    fn bounds(dataset: &Dataset, is_listed: impl Fn(&Column) -> bool) -> impl Iterator<Item = String> {
        let columns = Column::all(dataset).filter(move |column| column.is_ordered(dataset) && is_listed(column));
        let names = columns.map(move |column| column.name(dataset));
        names.flat_map(|name| [format!("min_{name}"), format!("max_{name}")])
    }

    /// The parameter that a comparison with an operator sign means: `age>=30` is parsed as the name `age>`, and `age>30` as a name without value.
    fn by_sign(dataset: &Dataset, name: &str) -> Option<String> {
        let at = name.find(['<', '>', '!'])?;
        let (column, sign) = name.split_at(at);
        let column = Column::named(dataset, column)?.name(dataset);
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
    fn unknown(self, dataset: &Dataset, name: &str, others: &[&str]) -> QueryError {
        let parameters = self.parameters(dataset);
        let fixed = parameters.iter().map(String::as_str).chain(others.iter().copied());
        let (column, operator) = name
            .split_once("__")
            .map_or((name, None), |(column, operator)| (column, Some(operator)));
        let columns = Column::all(dataset).map(|column| column.name(dataset).as_str());
        let bounds: Vec<_> = Self::bounds(dataset, |column| !column.is_numeric(dataset)).collect();
        let bounds = bounds.iter().map(String::as_str);
        let nearest = match operator {
            None => Self::by_sign(dataset, name).or_else(|| nearest(name, fixed.clone().chain(columns).chain(bounds)).map(str::to_owned)),
            Some(operator) => nearest(column, columns).map(|column| format!("{column}__{operator}")),
        };
        let known: Vec<_> = fixed.collect();
        let example = Column::stored(dataset).filter(|column| column.is_ordered(dataset)).last();
        QueryError {
            parameter: name.to_owned(),
            reason: "unknown parameter".to_owned(),
            known: Some(format!(
                "{}, and columns ({}) alone, with an operator (like {}__gte), or with a bound (min_X, max_X) if their values are ordered",
                known.join(", "),
                Column::names(dataset),
                example.unwrap_or(Column::KEY).name(dataset)
            )),
            nearest,
        }
    }
}

impl Query {
    /// Parses the decoded pairs of a query string. A repeated name is an error, except that conditions with an operator can be repeated, and all
    /// of them must hold. `others` are further parameters of the route, for messages.
    pub fn parse<'a>(
        dataset: &Dataset,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        scope: Scope,
        others: &[&str],
    ) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            if seen.contains(&name) && !name.contains("__") {
                return Err(QueryError::value(name, "given more than once"));
            }
            seen.push(name);
            let is_known = query.set(dataset, scope, name, value)?;
            if !is_known {
                let condition = Condition::parse(dataset, name, value)?;
                let condition = condition.ok_or_else(|| scope.unknown(dataset, name, others))?;
                query.filter.conditions.push(condition);
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

    /// Sets a parameter that is not the name of a column. Returns false for other names.
    fn set(&mut self, dataset: &Dataset, scope: Scope, name: &str, value: &str) -> Result<bool, QueryError> {
        match (name, scope) {
            (SEARCH, _) => {
                let search = Search::parse(dataset, name, value)?;
                self.filter.conditions.push(Condition::matching(search));
            }
            ("on", _) => self.on = Some(parse_day(name, value)?),
            ("select", Scope::Rows) => self.select = Some(parse_select(dataset, name, value)?),
            ("order", Scope::Rows) => self.order = Order::parse(dataset, name, value)?,
            ("limit", Scope::Rows) => self.limit = Some(parse_limit(name, value)?),
            _ => return Ok(self.set_file(dataset, name, value)? || self.set_bound(dataset, name, value)?),
        }
        Ok(true)
    }

    fn set_file(&mut self, dataset: &Dataset, name: &str, value: &str) -> Result<bool, QueryError> {
        let file_name = name.strip_prefix("is_").and_then(|name| name.strip_suffix("_exists"));
        let is_named = |file_name: &str| dataset.files().iter().position(|file| *file.name == *file_name);
        let Some(file) = file_name.and_then(is_named) else {
            return Ok(false);
        };
        let filter = parse_file(name, value)?;
        match file {
            0 => self.filter.file = Some(filter),
            _ => self.filter.conditions.push(Condition::file(file, filter)),
        }
        Ok(true)
    }

    fn set_bound(&mut self, dataset: &Dataset, name: &str, value: &str) -> Result<bool, QueryError> {
        let parts = name.split_at_checked("min_".len());
        let (extreme, operator, column) = match parts {
            Some(("min_", column)) => (Extreme::Least, Operator::Gte, column),
            Some(("max_", column)) => (Extreme::Greatest, Operator::Lte, column),
            _ => return Ok(false),
        };
        let column = Column::named(dataset, column).filter(|column| column.is_ordered(dataset));
        let Some(column) = column else { return Ok(false) };
        let is_counted = dataset
            .counted_years()
            .is_some_and(|years| column == Column::Derived(years.derived));
        let are_years = column.depends_on_today(dataset);
        let years = are_years.then(|| parse_years(name, value)).transpose()?;
        let filter = &mut self.filter;
        match (extreme, value) {
            (Extreme::Least, _) if is_counted => filter.years_min = years,
            (Extreme::Greatest, _) if is_counted => filter.years_max = years,
            (_, "") => filter.extremes.push((column, extreme)),
            _ => filter.conditions.push(Condition::bound(dataset, name, column, value, operator)?),
        }
        Ok(true)
    }

    /// Whether a response with these columns depends on the day of the query.
    pub fn depends_on_today(&self, dataset: &Dataset, shown: &[Column]) -> bool {
        shown.iter().any(|column| column.depends_on_today(dataset))
            || self.filter.depends_on_today(dataset)
            || self.order.depends_on_today()
    }
}

fn parse_file(name: &str, value: &str) -> Result<FileFilter, QueryError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(FileFilter::With),
        "false" => Ok(FileFilter::Without),
        _ => Err(QueryError::value(name, "must be True or False")),
    }
}

fn parse_years(name: &str, value: &str) -> Result<YearsBound, QueryError> {
    let invalid = || QueryError::value(name, "must be a whole number of years from 0 to 65535, or have no value");
    match value {
        "" => Ok(YearsBound::Extreme),
        _ if value.bytes().all(|byte| byte.is_ascii_digit()) => value.parse().map(YearsBound::Years).map_err(|_| invalid()),
        _ => Err(invalid()),
    }
}

fn parse_select(dataset: &Dataset, name: &str, value: &str) -> Result<Vec<Column>, QueryError> {
    let mut columns = Vec::new();
    for column in value.split(',') {
        let column = order::column_of(dataset, name, column)?;
        if columns.contains(&column) {
            let reason = format!("names {} more than once", column.name(dataset));
            return Err(QueryError::value(name, &reason));
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
            Query::parse(Dataset::users(), pairs.iter().copied(), Scope::Rows, &[]),
            Ok(expected),
            "pairs: {pairs:?}"
        );
    }

    #[track_caller]
    fn check_rejected(pairs: &[(&str, &str)], parameter: &str, nearest: Option<&str>) {
        let error = Query::parse(Dataset::users(), pairs.iter().copied(), Scope::Rows, &[]).expect_err("must be an error");
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
                file: Some(FileFilter::With),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("is_image_exists", "fALSE")],
            filter(Filter {
                file: Some(FileFilter::Without),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("min_age", "")],
            filter(Filter {
                years_min: Some(YearsBound::Extreme),
                ..Filter::default()
            }),
        );
        check_parse(
            &[("max_age", "007")],
            filter(Filter {
                years_max: Some(YearsBound::Years(7)),
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
        let select = Some(vec![Column::Derived(0), Column::KEY]);
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
    fn all_columns_of_years_have_the_same_bounds() {
        let text = "source.key = 'src-data/{id}.csv'\n[columns]\nborn = 'date'\nhired = 'date'\n[derived]\nage = 'years(born)'\nyears = \
                    'years(hired)'\n";
        let dataset = Dataset::parse(text).unwrap();
        let parse = |name: &str, value: &str| Query::parse(&dataset, [(name, value)], Scope::Rows, &[]);
        for value in ["-1", "+1", "1.5", "65536", "x"] {
            let reason = |name: &str| parse(name, value).unwrap_err().reason;
            assert_eq!(reason("min_years"), reason("min_age"), "{value}");
        }
        for value in ["", "0", "007"] {
            assert!(parse("max_age", value).is_ok() && parse("max_years", value).is_ok(), "{value}");
        }
        assert_eq!(parse("min_year", "1").unwrap_err().nearest.as_deref(), Some("min_years"));
        assert_eq!(parse("min_hire", "1").unwrap_err().nearest.as_deref(), Some("min_hired"));
    }

    #[test]
    fn repeated_conditions_must_all_hold() {
        let parse = |pairs: &[(&'static str, &'static str)]| Query::parse(Dataset::users(), pairs.iter().copied(), Scope::Stats, &[]);
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
        let parse =
            |pairs: &[(&'static str, &'static str)]| Query::parse(Dataset::users(), pairs.iter().copied(), Scope::Rows, &[]).unwrap();
        let search = parse(&[("q", "ann")]);
        assert!(search.order.is_best_match_first() && !search.order.is_by_id());
        assert!(!search.filter.is_range_of_ids());
        assert!(parse(&[("q", "ann"), ("order", "user_id")]).order.is_by_id());
        assert!(!parse(&[("order", "age"), ("q", "ann")]).order.is_best_match_first());
        check_rejected(&[("q", " ")], "q", None);
        check_rejected(&[("q", "a"), ("q", "b")], "q", None);
    }

    #[test]
    fn query_depends_on_today_if_it_uses_ages() {
        let depends = |pairs: &[(&'static str, &'static str)], shown: &[Column]| {
            Query::parse(Dataset::users(), pairs.iter().copied(), Scope::Rows, &[])
                .unwrap()
                .depends_on_today(Dataset::users(), shown)
        };
        let all: Vec<_> = Column::all(Dataset::users()).collect();
        let stored: Vec<_> = Column::stored(Dataset::users()).collect();
        assert!(depends(&[], &all));
        assert!(!depends(&[("last_name", "Lee"), ("order", "birthts")], &stored));
        assert!(depends(&[("min_age", "")], &stored));
        assert!(depends(&[("age__isnull", "")], &stored));
        assert!(depends(&[("order", "age")], &stored));
    }
}
