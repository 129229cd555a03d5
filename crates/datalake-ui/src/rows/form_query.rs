//! Converts a submitted filter form to the API's parameters.
//!
//! Without JavaScript, a form sends all of its fields, including the empty ones, but an empty `min_X` means "the lowest" to the API. So the form
//! has fields of its own and the marker [`FORM`]; the server redirects it to the address with the API's parameters.

use datalake_core::{
    dataset::Dataset,
    query::{column::Column, search::SEARCH},
};

use crate::{
    components::labels,
    page::query::Query,
    rows::{day_filter, form_fields, range_mode::RangeMode},
};
use datalake_api::request::cursor::CURSOR;

/// The hidden field that marks a submitted form.
pub(crate) const FORM: &str = "form";

/// The parameter that selects table or gallery; the only one that `/data` does not have.
pub(crate) const VIEW: &str = "view";

/// The submitted fields, in the order of the resulting parameters.
struct Fields<'a> {
    dataset: &'a Dataset,
    search: &'a str,
    files: Vec<Field<'a>>,
    ranges: Vec<Range<'a>>,
    choices: Vec<Field<'a>>,
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
    /// Parameters that the form does not have, which the API rejects.
    others: Vec<(&'a str, &'a str)>,
}

/// A field with one value.
struct Field<'a> {
    name: String,
    value: &'a str,
}

/// The bounds of a column.
struct Range<'a> {
    mode_field: String,
    mode: Option<RangeMode>,
    /// Minimum and maximum.
    bounds: [Field<'a>; 2],
}

/// The API's parameters for a submitted form of a dataset.
pub(crate) fn to_api_query<'a>(dataset: &'a Dataset, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Query {
    let mut fields = Fields::of(dataset);
    for pair in pairs {
        fields.add(pair);
    }
    fields.query()
}

impl<'a> Fields<'a> {
    fn of(dataset: &'a Dataset) -> Self {
        let field = |name: String| Field { name, value: "" };
        let range = |column: Column| Range {
            mode_field: form_fields::mode_field(dataset, column),
            mode: None,
            bounds: form_fields::bounds(dataset, column).map(field),
        };
        Self {
            dataset,
            search: "",
            files: dataset.files().iter().map(form_fields::file_parameter).map(field).collect(),
            ranges: form_fields::all_ranges(dataset).into_iter().map(range).collect(),
            choices: form_fields::choices(dataset)
                .map(|column| field(form_fields::choice_field(dataset, column)))
                .collect(),
            column_filters: Vec::new(),
            on: "",
            order: Vec::new(),
            select: Vec::new(),
            limit: "",
            version: "",
            as_of: "",
            view: "",
            others: Vec::new(),
        }
    }

    /// The field of the dataset with this name.
    fn field(&mut self, name: &str) -> Option<&mut Field<'a>> {
        let bounds = self.ranges.iter_mut().flat_map(|range| &mut range.bounds);
        let mut fields = self.files.iter_mut().chain(&mut self.choices).chain(bounds);
        fields.find(|field| field.name == name)
    }

    fn add(&mut self, (name, value): (&'a str, &'a str)) {
        let trimmed = value.trim();
        if let Some(field) = self.field(name) {
            field.value = trimmed;
            return;
        }
        if let Some(range) = self.ranges.iter_mut().find(|range| range.mode_field == name) {
            match RangeMode::ALL.into_iter().find(|mode| mode.as_str() == trimmed) {
                Some(mode) => range.mode = Some(mode),
                None => self.others.push((name, value)),
            }
            return;
        }
        match name {
            FORM => {}
            SEARCH => self.search = trimmed,
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
        push_filled(&mut query, SEARCH, self.search);
        for file in &self.files {
            push_filled(&mut query, &file.name, file.value);
        }
        for range in &self.ranges {
            let bounds = range.bounds.each_ref().map(|bound| bound.value);
            let bounds = range.mode.unwrap_or(RangeMode::Range).bounds(bounds);
            for (field, bound) in range.bounds.iter().zip(bounds) {
                if let Some(bound) = bound {
                    query.push(&field.name, bound);
                }
            }
        }
        let choices = self.choices.iter().filter(|choice| !choice.value.is_empty());
        let choices = choices.filter_map(|choice| Some((choice.name.split_once("__")?, choice.value)));
        for ((column, operator), value) in choices {
            self.push_column_filter(&mut query, [column, operator, value]);
        }
        for filter in self.column_filters.iter().filter(|filter| !filter[0].is_empty()) {
            self.push_column_filter(&mut query, *filter);
        }
        let order: Vec<_> = self.order.iter().filter(|key| !key[0].is_empty()).map(order_key).collect();
        let view = if self.view == "table" { "" } else { self.view };
        push_filled(&mut query, "on", self.on);
        push_filled(&mut query, "order", &order.join(","));
        push_filled(&mut query, "select", &self.selected());
        push_filled(&mut query, "limit", self.limit);
        push_filled(&mut query, "version", self.version);
        push_filled(&mut query, "as_of", self.as_of);
        push_filled(&mut query, VIEW, view);
        for (name, value) in &self.others {
            query.push(name, value);
        }
        query
    }

    /// The names of the selected columns; empty for the default ones.
    fn selected(&self) -> String {
        let default = labels::default_columns(self.dataset).map(|column| labels::name(self.dataset, column));
        match default.eq(self.select.iter().copied()) {
            true => String::new(),
            false => self.select.join(","),
        }
    }

    /// Adds a filter on a column. A day becomes the times at which it begins and ends.
    fn push_column_filter(&self, query: &mut Query, [column, operator, value]: [&str; 3]) {
        let column_type = Column::named(self.dataset, column).map(|column| column.column_type(self.dataset));
        if let Some(conditions) = column_type.and_then(|column_type| day_filter::conditions(column_type, operator, value)) {
            for (operator, bound) in conditions {
                query.push(&format!("{column}__{operator}"), &bound);
            }
            return;
        }
        let name = match operator {
            // A parameter without an operator may occur once, and some are those of the page.
            "" | "exact" if query.get(column).is_none() && !is_of_page(column) => column.to_owned(),
            "" => format!("{column}__exact"),
            operator => format!("{column}__{operator}"),
        };
        let value = if matches!(operator, "isnull" | "notnull") { "" } else { value };
        query.push(&name, value);
    }
}

/// Whether the page has a parameter of its own with the name of a column.
fn is_of_page(column: &str) -> bool {
    use crate::rows::request::{PAGE, PAGE_OF};
    [FORM, VIEW, PAGE, PAGE_OF].contains(&column)
}

fn push_filled(query: &mut Query, name: &str, value: &str) {
    if !value.is_empty() {
        query.push(name, value);
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
