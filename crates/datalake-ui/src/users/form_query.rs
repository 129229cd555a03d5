//! Converts a submitted filter form to the API's parameters.
//!
//! Without JavaScript, a form sends all of its fields, including the empty ones, but an empty `min_age` means "the youngest" to the API. So the
//! form has fields of its own and the marker [`FORM`]; the server redirects it to the address with the API's parameters.

use datalake_core::query::column::Column;

use crate::page::query::Query;
use datalake_api::request::cursor::CURSOR;

/// The hidden field that marks a submitted form.
pub(crate) const FORM: &str = "form";

/// The parameter that selects table or gallery; the only one that `/data` does not have.
pub(crate) const VIEW: &str = "view";

/// The submitted fields, in the order of the resulting parameters.
#[derive(Default)]
struct Fields<'a> {
    image: &'a str,
    /// For minimum and maximum: the number of years, and whether the checkbox for the extreme is checked.
    ages: [(&'a str, bool); 2],
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
            "min_age" => self.ages[0].0 = trimmed,
            "youngest" => self.ages[0].1 = true,
            "max_age" => self.ages[1].0 = trimmed,
            "oldest" => self.ages[1].1 = true,
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
        push_filled("is_image_exists", self.image);
        for (name, (years, is_extreme)) in ["min_age", "max_age"].into_iter().zip(self.ages) {
            match is_extreme {
                true => query.push(name, ""),
                false if !years.is_empty() => query.push(name, years),
                false => {}
            }
        }
        for [column, operator, value] in self.column_filters.iter().filter(|filter| !filter[0].is_empty()) {
            let name = match *operator {
                // A parameter without an operator may occur once.
                "" | "exact" if query.get(column).is_none() => (*column).to_owned(),
                "" => format!("{column}__exact"),
                operator => format!("{column}__{operator}"),
            };
            let value = if matches!(*operator, "isnull" | "notnull") { "" } else { value };
            query.push(&name, value);
        }
        let order: Vec<_> = self.order.iter().filter(|key| !key[0].is_empty()).map(order_key).collect();
        let select = match self.select.as_slice() {
            select if *select == Column::ALL.map(Column::name) => String::new(),
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
