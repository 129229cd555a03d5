//! The table of changed rows, with the values before and after.

use std::borrow::Cow;

use datalake_core::{
    dataset::{Value, ValueRef},
    query::column as data,
};
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::counted,
        labels, stored_values,
        table::{self, Column, ColumnType},
        value,
    },
    diff::model::{ChangedRow, Changes},
    page::{api_address::ApiAddress, links},
};

/// The API request for all rows that differ between two versions.
pub(crate) fn api_address(since: u64, until: u64) -> ApiAddress {
    ApiAddress::new(format!("/changes?since={since}&until={until}"))
}

/// The same rows for a spreadsheet.
pub(crate) fn csv_address(since: u64, until: u64) -> String {
    format!("/changes.csv?since={since}&until={until}&escape=spreadsheet")
}

/// How many columns of values fit into a wide window.
const COLUMNS_FITTING: usize = 4;

/// A column of values.
struct ValueColumn<'a> {
    column: data::Column,
    /// Its position in the values of a changed row.
    index: usize,
    cell: Column<'a>,
}

pub(crate) fn table(changes: &Changes, since: u64, until: u64) -> Markup {
    let api = api_address(since, until);
    let dataset = &changes.dataset;
    html! {
        @if changes.rows.is_empty() {
            p.muted #no-changes { "No row differs." }
        } @else {
            (components::scroll("Table of changed rows", &rows(changes, since, until)))
        }
        @if changes.has_more {
            p #more-changes {
                "Only the first " (counted(datalake_core::count::count(changes.rows.len()), "row", "rows")) " by " (dataset.entity()) " ID. " a href=(api.as_str()) { "All rows as NDJSON" } "."
            }
        }
        p.small.muted {
            "Struck through = before, underlined = after. "
            @if let Some([_, files]) = labels::files_in_sentence(dataset) { "Only the presence of " (files) " is compared. " }
            "Rows that were added and removed again in between are not shown."
        }
    }
}

fn rows(changes: &Changes, since: u64, until: u64) -> Markup {
    let dataset = &*changes.dataset;
    let index_of = |column: data::Column| changes.columns.iter().position(|other| *other == column).unwrap_or_default();
    let shown = stored_values::columns(dataset, |column| changes.rows.iter().any(|row| row.differs(index_of(column))));
    let labels = stored_values::labels(dataset, &shown);
    let id_label = labels::id(dataset);
    let (id, kind) = (Column::new(&id_label, ColumnType::Title), Column::new("Change", ColumnType::Badge));
    let values: Vec<_> = { shown.iter().zip(&labels) }
        .map(|(column, label)| ValueColumn {
            column: *column,
            index: index_of(*column),
            cell: stored_values::table_column(dataset, *column, label),
        })
        .collect();
    let columns: Vec<_> = [id, kind].into_iter().chain(values.iter().map(|column| column.cell)).collect();
    html! {
        // Few columns fit, so that their header can stay visible.
        table.changes.cards.long[values.len() <= COLUMNS_FITTING] #changed-rows {
            caption.visually-hidden { "Changed rows by " (dataset.entity()) " ID" }
            (table::head(&columns))
            tbody {
                @for row in &changes.rows { (changed_row(row, [id, kind], &values, since, until)) }
            }
        }
    }
}

fn changed_row(row: &ChangedRow, [id, kind]: [Column<'_>; 2], values: &[ValueColumn<'_>], since: u64, until: u64) -> Markup {
    let (change, label, class) = match (&row.before, &row.after) {
        (None, _) => ("insert", "added", "success"),
        (Some(_), Some(_)) => ("update", "changed", ""),
        (Some(_), None) => ("delete", "removed", "warning"),
    };
    // A removed row has a page only in the earlier version.
    let version = if row.after.is_some() { until } else { since };
    html! {
        tr data-user-id=(row.id) data-change=(change) {
            (id.cell(&html! { a href={ (links::row(&row.id)) "?version=" (version) } { (row.id) } }))
            (kind.cell(&html! { span class={ "badge " (class) } { (label) } }))
            @for column in values { (column.cell.cell(&compared_values(column, row))) }
        }
    }
}

/// The values of a column before and after. A text is shown in its own direction.
fn compared_values(column: &ValueColumn<'_>, row: &ChangedRow) -> Markup {
    let of = |values: &'_ Option<Vec<Option<Value>>>| -> Option<Value> { values.as_ref()?.get(column.index)?.clone() };
    let (before, after) = (of(&row.before), of(&row.after));
    let [before, after] = [&before, &after].map(|value| value.as_ref().map(Value::as_ref));
    let is_text = [before, after].iter().any(|value| matches!(value, Some(ValueRef::Text(_))));
    let texts = match (column.column, row.before.is_some(), row.after.is_some()) {
        (data::Column::File(_), ..) => [before, after].map(|value| value.map(presence)),
        (_, has_before, has_after) => {
            let [text_before, text_after] = value::compared(before, after);
            // A row without a value differs from no row.
            let shown = |text: Option<_>, has_row: bool| text.or(has_row.then_some(Cow::Borrowed("–")));
            [shown(text_before, has_before), shown(text_after, has_after)]
        }
    };
    let [before, after] = texts.each_ref().map(Option::as_deref);
    let compared = compared(before, after);
    html! { @if is_text { bdi.exact { (compared) } } @else { (compared) } }
}

/// Whether there is a file.
fn presence(value: ValueRef<'_>) -> Cow<'_, str> {
    match value {
        ValueRef::Boolean(true) => "yes".into(),
        _ => "no".into(),
    }
}

/// A value before and after, marked if it differs.
fn compared(before: Option<&str>, after: Option<&str>) -> Markup {
    html! {
        @if before == after {
            (after.unwrap_or_default())
        } @else {
            @if let Some(before) = before { del { (before) } }
            @if let Some(after) = after { ins { (after) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datalake_core::dataset::Dataset;

    use super::*;

    #[test]
    fn different_value_is_marked() {
        assert_eq!(compared(Some("Ada"), Some("Ada")).0, "Ada");
        assert_eq!(compared(Some("Ada"), Some("<b>")).0, "<del>Ada</del><ins>&lt;b&gt;</ins>");
        assert_eq!(compared(None, Some("Ada")).0, "<ins>Ada</ins>");
        assert_eq!(compared(Some("Ada"), None).0, "<del>Ada</del>");
    }

    #[test]
    fn columns_are_those_of_the_later_version() {
        let row = |name: &str, has_image| {
            let text = |text: &str| Some(Value::Text(text.into()));
            Some(vec![
                text(name),
                text("Lee"),
                Some(Value::EpochMs(0)),
                Some(Value::Boolean(has_image)),
            ])
        };
        let dataset = Arc::new(Dataset::users().clone());
        let changes = Changes {
            columns: data::Column::stored(&dataset).skip(1).collect(),
            dataset,
            rows: vec![ChangedRow {
                id: "1".to_owned(),
                before: row("Ada", false),
                after: row("Bea", true),
            }],
            has_more: false,
        };
        let text = table(&changes, 1, 2).into_string();
        for part in [
            "<th scope=\"col\">First name</th>",
            "<bdi class=\"exact\"><del>Ada</del><ins>Bea</ins></bdi>",
            "<bdi class=\"exact\">Lee</bdi>",
            "1970-01-01",
            "<del>no</del><ins>yes</ins>",
            "Only the presence of images is compared.",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
