//! Where each value of a row comes from.

use datalake_core::{
    dataset::{Dataset, Origin},
    query::column::Column,
    text::capitalized,
};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{counted, relative_time, truncate},
        labels, run,
        table::{self, ColumnType},
    },
    row::model::RowPage,
};
use datalake_api::{
    problem::Problem,
    routes::explain::{ExplanationDocument, ObjectDocument, ValueDocument},
};

/// How many bytes of a value the table shows.
const VALUE_BYTES_MAX: usize = 100;

const COLUMNS: [table::Column; 3] = [
    table::Column::new("Field", ColumnType::Title),
    table::Column::new("Read from", ColumnType::Text),
    table::Column::new("In the table", ColumnType::Text),
];

pub(crate) fn card(page: &RowPage<'_>) -> Markup {
    html! {
        section.card #explanation aria-labelledby="explanation-title" {
            header { h2 #explanation-title { "Provenance" } }
            @match &page.explanation {
                Ok(explanation) => (details(page.dataset, explanation, page.now)),
                Err(Problem::NoSuchRow(_)) => p.muted { "This version has neither a row nor a source of this " (page.dataset.entity()) "." },
                Err(problem) => (unavailable(problem)),
            }
            (components::api_request("explain-api", page.origin, &page.api_address("explain")))
        }
    }
}

fn details(dataset: &Dataset, explanation: &ExplanationDocument<'_>, now: Timestamp) -> Markup {
    html! {
        @if explanation.values.is_empty() {
            p.wrap { (components::prose(&explanation.summary)) }
        } @else {
            (components::scroll("Fields and where they come from", &html! {
                table.cards {
                    caption.visually-hidden { "Each field of the row, where it was read from, and its value in the table" }
                    (table::head(&COLUMNS))
                    tbody {
                        @for value in &explanation.values { (field(dataset, value, explanation)) }
                    }
                }
            }))
            details #provenance-details {
                summary { "Details" }
                p.wrap { (components::prose(&explanation.summary)) }
                dl.properties.sources {
                    @if let Some(csv) = &explanation.csv { (source(&capitalized(labels::sources_in_sentence(dataset)[0]), csv, now)) }
                    @for (index, file) in dataset.files().iter().enumerate() {
                        @if let Some((Some(object), _)) = explanation.file(index) { (source(&labels::file(file), object, now)) }
                    }
                    @if let Some(run_id) = explanation.run_id { dt { "Run" } dd { (run::id(run_id)) } }
                }
            }
        }
    }
}

/// A field. Its rule is the same for all rows, so it opens on request.
fn field(dataset: &Dataset, value: &ValueDocument<'_>, explanation: &ExplanationDocument<'_>) -> Markup {
    let column = Column::named(dataset, value.column);
    let label = column.map_or_else(|| value.column.to_owned(), |column| labels::column(dataset, column));
    let [name, origin, stored] = COLUMNS;
    html! {
        tr data-column=(value.column) {
            (name.cell(&html! { (label) }))
            (origin.cell(&html! {
                @match column { Some(column) => (read_from(dataset, column, explanation)), None => { "field " code { (value.column) } } }
                details.rule id={ "rule-" (value.column) } { summary aria-label={ "Rule of " (label) } { "?" } (components::prose(&value.rule)) }
            }))
            (stored.cell(&html! { @if let Some(text) = in_table(value.column, explanation) { code.wrap { (truncate(&text, VALUE_BYTES_MAX)) } } }))
        }
    }
}

/// Which part of which source a column is read from.
fn read_from(dataset: &Dataset, column: Column, explanation: &ExplanationDocument<'_>) -> Markup {
    html! {
        @match column {
            Column::Value(index) => @match &dataset.columns()[index].origin {
                Origin::Key(_) => { (if dataset.id_columns() == 1 { "name of " } else { "key " }) code.wrap { (explanation.csv.as_ref().map_or("", |csv| &csv.key)) } },
                Origin::Content(name) => { (labels::sources_in_sentence(dataset)[0].trim_end_matches("file")) "field " code { (name) } },
            },
            Column::File(index) => @match explanation.file(index) {
                Some((Some(object), _)) => code.wrap { (object.key) },
                _ => { "no " (labels::file_in_sentence(&dataset.files()[index])) },
            },
            Column::Derived(index) => code { (dataset.derived()[index]) },
        }
    }
}

/// The value of a column as the API returns it.
fn in_table(column: &str, explanation: &ExplanationDocument<'_>) -> Option<String> {
    let row = serde_json::to_value(explanation.row.as_ref()?).ok()?;
    Some(match row.get(column)? {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    })
}

fn source(label: &str, object: &ObjectDocument<'_>, now: Timestamp) -> Markup {
    html! {
        dt { (label) }
        dd {
            code { (object.key) } ", " (counted(object.size, "byte", "bytes"))
            ", last modified " (relative_time(object.modified, now)) ", ETag " code.wrap { (object.etag) }
        }
    }
}

/// Replaces data that the store cannot provide now.
pub(crate) fn unavailable(problem: &Problem) -> Markup {
    html! { p.muted data-unavailable { (problem.title()) ": " (components::prose(&problem.detail())) } }
}
