//! Example requests, which the index lists and a page links to.

use datalake_core::{
    calendar::Day,
    dataset::{ColumnType, Dataset},
    query::{column::Column, filter::Filter},
    row_id::shown,
};
use datalake_table::memory::snapshot::Snapshot;
use serde::Serialize;
use utoipa::ToSchema;

use crate::snapshots::watch::{TableState, TableStatus};

/// An example request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Example {
    /// The path with its query.
    pub href: String,
    /// A short description of the response.
    pub title: String,
}

/// The row in the examples without a table. The sample sources have a row with this ID.
const ROW_ID: &str = "1000";

/// The basic queries of `/data` and `/stats`: filters and statistics, all that most clients need.
pub fn basic(table: &TableStatus) -> Vec<Example> {
    basic_of(&table.dataset())
}

/// All other examples, for a row that exists.
pub fn further(table: &TableStatus) -> Vec<Example> {
    let row_id = match &table.state {
        TableState::Loaded(snapshot) => example_row(snapshot),
        TableState::Missing | TableState::Loading => None,
    };
    further_of(&table.dataset(), row_id.as_deref().unwrap_or(ROW_ID))
}

fn example(href: impl Into<String>, title: impl Into<String>) -> Example {
    Example {
        href: href.into(),
        title: title.into(),
    }
}

/// The column of the examples with bounds: the first with statistics.
fn number(dataset: &Dataset) -> Option<Column> {
    Column::named(dataset, dataset.stats().first()?)
}

fn basic_of(dataset: &Dataset) -> Vec<Example> {
    let rows = dataset.rows_in_sentence();
    let file = dataset.files().first().map(|file| file.name.as_str());
    let number = number(dataset);
    let mut examples = vec![example("/data", format!("all {rows}"))];
    for file in dataset.files().iter().map(|file| &file.name) {
        examples.push(example(format!("/data?is_{file}_exists=True"), format!("{rows} with {file}")));
        examples.push(example(format!("/data?is_{file}_exists=False"), format!("{rows} without {file}")));
    }
    if let Some(column) = number {
        let name = column.name(dataset);
        if column.depends_on_today(dataset) {
            examples.push(example(
                format!("/data?min_{name}=30&max_{name}=40"),
                format!("{rows} of {name} 30–40"),
            ));
        }
        examples.push(example(format!("/data?min_{name}"), format!("{rows} of the lowest {name}")));
        examples.push(example(format!("/data?max_{name}"), format!("{rows} of the highest {name}")));
        examples.push(example(
            format!("/data?min_{name}&max_{name}"),
            format!("{rows} of the lowest and the highest {name}"),
        ));
        if let Some(file) = file {
            for (value, with, bound, extreme) in [("True", "with", "max", "highest"), ("False", "without", "min", "lowest")] {
                examples.push(example(
                    format!("/data?is_{file}_exists={value}&{bound}_{name}"),
                    format!("{rows} {with} {file}, of the {extreme} {name}"),
                ));
            }
        }
    }
    examples.push(example("/stats", format!("statistics of all {rows}")));
    if let Some(file) = file {
        examples.push(example(
            format!("/stats?is_{file}_exists=True"),
            format!("statistics of {rows} with {file}"),
        ));
    }
    if let Some(column) = number.filter(|column| column.depends_on_today(dataset)) {
        let name = column.name(dataset);
        examples.push(example(
            format!("/stats?min_{name}=30&max_{name}=40"),
            format!("statistics of {rows} of {name} 30–40"),
        ));
    }
    examples
}

fn further_of(dataset: &Dataset, row_id: &str) -> Vec<Example> {
    let (rows, entity) = (dataset.rows_in_sentence(), dataset.entity());
    let columns = dataset.columns();
    let id = &columns[0].name;
    let text = columns.iter().skip(1).find(|column| column.column_type == ColumnType::String);
    let mut examples = Vec::new();
    if let Some(column) = number(dataset) {
        let name = column.name(dataset);
        if column.depends_on_today(dataset) {
            examples.push(example(
                format!("/data?min_{name}=30&on=2020-01-01"),
                format!("{rows} of {name} 30 or more on 1 January 2020"),
            ));
        }
        if let Some(text) = text.map(|text| &text.name) {
            examples.push(example(
                format!("/data?{text}__startswith=a&order={name}.desc&limit=3"),
                format!("the three {rows} of the highest {name} whose {text} starts with A"),
            ));
        }
        examples.push(example(
            format!("/data?select={id},{name}&shape=columns&limit=5"),
            "two columns in the layout of pandas",
        ));
    }
    examples.push(example("/data.csv?limit=5", "CSV for a spreadsheet"));
    examples.push(example(format!("/data/{row_id}"), format!("one {entity}")));
    let files = dataset.files().iter().map(|file| &file.name);
    examples.extend(files.map(|file| example(format!("/data/{row_id}/{file}"), format!("{file} of one {entity}"))));
    examples.extend([
        example(format!("/data/{row_id}/history"), "row history by version"),
        example(format!("/data/{row_id}/explain"), "provenance of a row"),
        example("/rejects", "rejected and ignored sources, with reasons"),
        example("/versions", "versions of the table, latest first"),
        example("/data?version=0", format!("all {rows} in the first version")),
        example("/changes?since=0", "changes since the first version"),
        example("/runs", "runs, latest first"),
        example("/openapi.json", "OpenAPI description"),
        example("/metrics", "metrics of this server"),
    ]);
    examples
}

/// The row of the sample sources, or the first row with a file, or the first row.
fn example_row(snapshot: &Snapshot) -> Option<String> {
    /// If files are common, one of the first hundred rows has one.
    const ROWS_MAX: usize = 100;
    if snapshot.row(ROW_ID).is_some() {
        return Some(ROW_ID.to_owned());
    }
    let all = snapshot.select(&Filter::default(), Day::FIRST);
    let mut first = None;
    for row in snapshot.rows(&all).take(ROWS_MAX) {
        if (0..snapshot.dataset().files().len()).any(|file| row.has_file(file)) {
            return Some(shown(row.row_id).into_owned());
        }
        first.get_or_insert_with(|| shown(row.row_id).into_owned());
    }
    first
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn examples_are_unique() {
        let all: Vec<_> = basic(&TableStatus::default())
            .into_iter()
            .chain(further(&TableStatus::default()))
            .collect();
        let hrefs: BTreeSet<_> = all.iter().map(|example| example.href.as_str()).collect();
        assert_eq!(hrefs.len(), all.len());
        assert!(hrefs.contains("/data/1000/image"), "{hrefs:?}");
        let is_of_rows = |example: &Example| example.href.starts_with("/data") || example.href.starts_with("/stats");
        assert!(basic(&TableStatus::default()).iter().all(is_of_rows));
    }

    #[test]
    fn examples_follow_from_the_declaration() {
        let text = "title = 'Orders'\nentity = 'order'\nsource.key = 'src-data/{order_id}.csv'\n[columns]\ncustomer = 'string'\n\
                    total = 'number'\n[files.invoice]\nkey = 'src-data/{order_id}.pdf'\ntypes = ['application/pdf']\n";
        let dataset = Dataset::parse(text).unwrap();
        let titles = |examples: Vec<Example>| {
            examples
                .into_iter()
                .map(|example| (example.href, example.title))
                .collect::<Vec<_>>()
        };
        let basic = titles(basic_of(&dataset));
        let has = |examples: &[(String, String)], href: &str, title: &str| examples.contains(&(href.to_owned(), title.to_owned()));
        assert!(has(&basic, "/data?is_invoice_exists=False", "orders without invoice"), "{basic:?}");
        assert!(has(&basic, "/data?max_total", "orders of the highest total"), "{basic:?}");
        let further = titles(further_of(&dataset, "A-1"));
        assert!(has(&further, "/data/A-1/invoice", "invoice of one order"), "{further:?}");
    }
}
