//! Converts a submitted filter form to the API's parameters.
//!
//! Without JavaScript, a form sends all of its fields, including the empty ones, but an empty `min_age` means "the youngest" to the API. So the
//! form has fields of its own and the marker [`FORM`]; the server redirects it to the address with the API's parameters.

use datalake_core::query::search::SEARCH;

use crate::{
    components::labels::{self, ValueType},
    page::query::Query,
    users::day_filter,
};
use datalake_api::request::cursor::CURSOR;

/// The hidden field that marks a submitted form.
pub(crate) const FORM: &str = "form";

/// The parameter that selects table or gallery; the only one that `/data` does not have.
pub(crate) const VIEW: &str = "view";

/// The field that selects which bounds of the age apply: one of [`AgeMode`].
pub(crate) const AGE_MODE: &str = "age_mode";

/// Which ages the form selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgeMode {
    Any,
    Range,
    Youngest,
    Oldest,
    Extremes,
    /// The youngest up to a maximum age.
    YoungestUpTo,
    /// The oldest from a minimum age on.
    OldestFrom,
}

impl AgeMode {
    pub(crate) const ALL: [Self; 7] = [
        Self::Any,
        Self::Range,
        Self::Youngest,
        Self::Oldest,
        Self::Extremes,
        Self::YoungestUpTo,
        Self::OldestFrom,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::Range => "range",
            Self::Youngest => "youngest",
            Self::Oldest => "oldest",
            Self::Extremes => "extremes",
            Self::YoungestUpTo => "youngest-up-to",
            Self::OldestFrom => "oldest-from",
        }
    }

    /// The mode of a query's parameters.
    pub(crate) fn of(min_age: Option<&str>, max_age: Option<&str>) -> Self {
        match (min_age, max_age) {
            (None, None) => Self::Any,
            (Some(""), Some("")) => Self::Extremes,
            (Some(""), None) => Self::Youngest,
            (None, Some("")) => Self::Oldest,
            (Some(""), Some(_)) => Self::YoungestUpTo,
            (Some(_), Some("")) => Self::OldestFrom,
            _ => Self::Range,
        }
    }

    /// The values of `min_age` and `max_age`; none for a parameter without an effect.
    fn bounds<'a>(self, [min_age, max_age]: [&'a str; 2]) -> [Option<&'a str>; 2] {
        let filled = |years: &'a str| Some(years).filter(|years| !years.is_empty());
        match self {
            Self::Any => [None, None],
            Self::Range => [filled(min_age), filled(max_age)],
            Self::Youngest => [Some(""), None],
            Self::Oldest => [None, Some("")],
            Self::Extremes => [Some(""), Some("")],
            Self::YoungestUpTo => [Some(""), filled(max_age)],
            Self::OldestFrom => [filled(min_age), Some("")],
        }
    }
}

/// The submitted fields, in the order of the resulting parameters.
#[derive(Default)]
struct Fields<'a> {
    search: &'a str,
    image: &'a str,
    age_mode: Option<AgeMode>,
    /// Minimum and maximum, as numbers of years.
    ages: [&'a str; 2],
    /// Column, operator, value.
    column_filters: Vec<[&'a str; 3]>,
    on: &'a str,
    /// Column, direction.
    order: Vec<[&'a str; 2]>,
    select: Vec<&'a str>,
    limit: &'a str,
    version: &'a str,
    as_of: &'a str,
    view: &'a str,
    /// Parameters that the form does not have. The API rejects them.
    others: Vec<(&'a str, &'a str)>,
}

/// The API's parameters for a submitted form.
pub(crate) fn to_api_query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Query {
    let mut fields = Fields::default();
    for pair in pairs {
        fields.add(pair);
    }
    fields.query()
}

impl<'a> Fields<'a> {
    fn add(&mut self, (name, value): (&'a str, &'a str)) {
        let trimmed = value.trim();
        match name {
            FORM => {}
            "is_image_exists" => self.image = trimmed,
            SEARCH => self.search = trimmed,
            "min_age" => self.ages[0] = trimmed,
            "max_age" => self.ages[1] = trimmed,
            AGE_MODE => match AgeMode::ALL.into_iter().find(|mode| mode.as_str() == trimmed) {
                Some(mode) => self.age_mode = Some(mode),
                None => self.others.push((name, value)),
            },
            "column" => self.column_filters.push([trimmed, "", ""]),
            "order_by" => self.order.push([trimmed, ""]),
            "on" => self.on = trimmed,
            "select" => self.select.push(trimmed),
            "limit" => self.limit = trimmed,
            "version" => self.version = trimmed,
            "as_of" => self.as_of = trimmed,
            VIEW => self.view = trimmed,
            _ => match (name, self.column_filters.last_mut(), self.order.last_mut()) {
                ("operator", Some(filter), _) => filter[1] = trimmed,
                // White space in a value is significant.
                ("value", Some(filter), _) => filter[2] = value,
                ("direction", _, Some(key)) => key[1] = trimmed,
                _ => self.others.push((name, value)),
            },
        }
    }

    fn query(&self) -> Query {
        let mut query = Query::default();
        let mut push_filled = |name, value: &str| {
            if !value.is_empty() {
                query.push(name, value);
            }
        };
        push_filled(SEARCH, self.search);
        push_filled("is_image_exists", self.image);
        let bounds = self.age_mode.unwrap_or(AgeMode::Range).bounds(self.ages);
        for (name, years) in ["min_age", "max_age"].into_iter().zip(bounds) {
            if let Some(years) = years {
                query.push(name, years);
            }
        }
        for filter in self.column_filters.iter().filter(|filter| !filter[0].is_empty()) {
            push_column_filter(&mut query, *filter);
        }
        let order: Vec<_> = self.order.iter().filter(|key| !key[0].is_empty()).map(order_key).collect();
        let select = match self.select.as_slice() {
            select if *select == labels::ALL.map(labels::name) => String::new(),
            select => select.join(","),
        };
        let view = if self.view == "table" { "" } else { self.view };
        for (name, value) in [
            ("on", self.on),
            ("order", &order.join(",")),
            ("select", &select),
            ("limit", self.limit),
            ("version", self.version),
            ("as_of", self.as_of),
            (VIEW, view),
        ] {
            if !value.is_empty() {
                query.push(name, value);
            }
        }
        for (name, value) in &self.others {
            query.push(name, value);
        }
        query
    }
}

/// Adds a filter on a column. A day becomes the times at which it begins and ends.
fn push_column_filter(query: &mut Query, [column, operator, value]: [&str; 3]) {
    let is_day = labels::named(column).is_some_and(|column| labels::value_type(column) == ValueType::Day);
    if let Some(conditions) = day_filter::conditions(operator, value).filter(|_| is_day) {
        for (operator, birthts_ms) in conditions {
            query.push(&format!("{column}__{operator}"), &birthts_ms.to_string());
        }
        return;
    }
    let name = match operator {
        // A parameter without an operator may occur once.
        "" | "exact" if query.get(column).is_none() => column.to_owned(),
        "" => format!("{column}__exact"),
        operator => format!("{column}__{operator}"),
    };
    let value = if matches!(operator, "isnull" | "notnull") { "" } else { value };
    query.push(&name, value);
}

fn order_key([column, direction]: &[&str; 2]) -> String {
    match *direction {
        "" | "asc" => (*column).to_owned(),
        direction => format!("{column}.{direction}"),
    }
}

/// The query without parameters of pagination and presentation, for downloads of all rows.
pub(crate) fn without_pagination(query: &Query) -> Query {
    query.without(&[VIEW, CURSOR, "limit", "format", "shape", "escape"])
}

#[cfg(test)]
mod tests;
