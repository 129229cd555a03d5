//! The form of filters. The type of a column decides its field.

use std::collections::BTreeSet;

use datalake_api::request::cursor::CURSOR;
use datalake_core::{
    dataset::{ColumnType, Dataset},
    query::{column::Column, search::SEARCH},
};
use maud::{Markup, html};

use crate::{
    declared::label,
    page::{links, query::Query},
    users::{filter_form, form_query::FORM},
};

/// Parameters that select no rows.
const OTHERS: [&str; 7] = ["order", "select", "limit", "version", "as_of", "on", CURSOR];

/// A field of the form.
enum Field {
    /// One of these values and labels.
    Choice {
        name: String,
        label: String,
        options: Vec<(String, String)>,
    },
    /// A value of this type of input.
    Input { name: String, label: String, kind: &'static str },
}

impl Field {
    fn name(&self) -> &str {
        match self {
            Self::Choice { name, .. } | Self::Input { name, .. } => name,
        }
    }
}

fn fields(dataset: &Dataset) -> Vec<Field> {
    let files = dataset.files().iter().map(|file| Field::Choice {
        name: format!("is_{}_exists", file.name),
        label: label(&file.name),
        options: [("True", "with"), ("False", "without")]
            .map(|(value, label)| (value.to_owned(), label.to_owned()))
            .into(),
    });
    let columns = Column::all(dataset).filter(|column| !matches!(column, Column::File(_)));
    files.chain(columns.flat_map(|column| fields_of(dataset, column))).collect()
}

fn fields_of(dataset: &Dataset, column: Column) -> Vec<Field> {
    let name = column.name(dataset);
    let choice = |values: Vec<String>| Field::Choice {
        name: name.to_string(),
        label: label(name),
        options: values.into_iter().map(|value| (value.clone(), value)).collect(),
    };
    let allowed = match column {
        Column::Value(index) => dataset
            .columns()
            .get(index)
            .and_then(|column| column.constraints.allowed.as_deref()),
        Column::File(_) | Column::Derived(_) => None,
    };
    if let Some(values) = allowed {
        return vec![choice(values.iter().map(ToString::to_string).collect())];
    }
    let kind = match column.column_type(dataset) {
        ColumnType::Boolean => return vec![choice(["true", "false"].map(str::to_owned).into())],
        ColumnType::String => {
            let (name, label) = (format!("{name}__contains"), format!("{} contains", label(name)));
            return vec![Field::Input { name, label, kind: "text" }];
        }
        ColumnType::Date => "date",
        _ => "text",
    };
    let bound = |prefix: &str, from: &str| Field::Input {
        name: format!("{prefix}_{name}"),
        label: format!("{} {from}", label(name)),
        kind,
    };
    vec![bound("min", "from"), bound("max", "to")]
}

/// The form. Parameters of the address that no field has are kept.
pub(super) fn form(dataset: &Dataset, query: &Query) -> Markup {
    let fields = fields(dataset);
    let names: BTreeSet<_> = fields.iter().map(Field::name).chain([SEARCH, CURSOR]).collect();
    html! {
        section.card aria-label="Filters" {
            form.filters id=(filter_form::ID) method="get" action=(links::USERS) {
                input type="hidden" name=(FORM) value="rows";
                @for (name, value) in query.iter().filter(|(name, _)| !names.contains(name)) { input type="hidden" name=(name) value=(value); }
                @for field in &fields { (field_markup(field, query)) }
                div.actions.submit {
                    button.primary type="submit" { "Apply" }
                    a.button href=(cleared(query).address(links::USERS)) { "Clear" }
                }
                (active_filters(query))
            }
        }
    }
}

fn field_markup(field: &Field, query: &Query) -> Markup {
    let value = query.get(field.name()).unwrap_or_default();
    html! {
        div.field {
            @match field {
                Field::Choice { name, label, options } => {
                    label for=(name) { (label) }
                    select id=(name) name=(name) {
                        option value="" { "any" }
                        @for (option, label) in options { option value=(option) selected[value.eq_ignore_ascii_case(option)] { (label) } }
                    }
                },
                Field::Input { name, label, kind } => {
                    label for=(name) { (label) }
                    input id=(name) name=(name) type=(kind) value=(value) autocomplete="off";
                },
            }
        }
    }
}

/// Whether the query selects other rows than all of its version.
pub(super) fn has_filters(query: &Query) -> bool {
    query.iter().any(|(name, _)| !OTHERS.contains(&name))
}

fn cleared(query: &Query) -> Query {
    Query::new(query.iter().filter(|(name, _)| ["select", "limit"].contains(name)))
}

/// The active filters, each as a link that removes it.
fn active_filters(query: &Query) -> Markup {
    let active: Vec<_> = query.iter().enumerate().filter(|(_, (name, _))| !OTHERS.contains(name)).collect();
    html! {
        @if !active.is_empty() {
            ul.active-filters #active-filters {
                @for (index, (name, value)) in active {
                    li {
                        a href=(query.without_index(index).address(links::USERS)) {
                            span.visually-hidden { "Remove filter: " } span { (name) " " bdi { (value) } } span aria-hidden="true" { "×" }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset() -> Dataset {
        let text = "source.key = 'src-data/{id}.csv'\n[columns]\nday = 'date'\nstate = { type = 'string', enum = ['new', 'sent'] }\npaid = 'boolean'\n\
                    note = 'string'\n[files.scan]\nkey = 'src-data/{id}.pdf'\ntypes = ['application/pdf']\n";
        Dataset::parse(text).unwrap()
    }

    #[test]
    fn type_of_a_column_decides_its_fields() {
        let dataset = dataset();
        let fields = fields(&dataset);
        let names: Vec<_> = fields.iter().map(Field::name).collect();
        let expected = [
            "is_scan_exists",
            "id__contains",
            "min_day",
            "max_day",
            "state",
            "paid",
            "note__contains",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn form_keeps_other_parameters() {
        let query = Query::new([
            ("state", "sent"),
            ("order", "day.desc"),
            ("note__isnull", ""),
            ("min_day", "2026-01-01"),
        ]);
        let text = form(&dataset(), &query).into_string();
        for part in [
            r#"<input type="hidden" name="order" value="day.desc">"#,
            r#"<input type="hidden" name="note__isnull" value="">"#,
            r#"<option value="sent" selected>sent</option>"#,
            r#"name="min_day" type="date" value="2026-01-01""#,
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(has_filters(&query) && !has_filters(&cleared(&query)));
    }
}
