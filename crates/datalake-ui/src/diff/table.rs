//! The table of changed rows, with the values before and after.

use datalake_core::user::BirthTimestamp;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self, labels,
        table::{self, Column, ColumnType},
    },
    diff::model::{ChangedRow, Changes, RowValues},
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

pub(crate) fn table(changes: &Changes, since: u64, until: u64) -> Markup {
    let api = api_address(since, until);
    html! {
        @if changes.rows.is_empty() {
            p.muted #no-changes { "No row differs." }
        } @else {
            (components::scroll("Table of changed rows", &rows(&changes.rows, since, until)))
        }
        @if changes.has_more {
            p #more-changes { "The first " (changes.rows.len()) " rows by user ID are shown. " a href=(api.as_str()) { "All rows as NDJSON" } "." }
        }
        p.small.muted {
            "Struck through = before, underlined = after. Only the presence of an image is compared. Rows that were added and removed again in \
             between are not shown."
        }
    }
}

const COLUMNS: [Column; 6] = [
    Column::new(labels::column(labels::USER_ID), ColumnType::Title),
    Column::new("Change", ColumnType::Badge),
    Column::new(labels::column(labels::FIRST_NAME), ColumnType::Text),
    Column::new(labels::column(labels::LAST_NAME), ColumnType::Text),
    Column::new(labels::column(labels::BIRTHTS), ColumnType::Word),
    Column::new(labels::column(labels::IMG_PATH), ColumnType::Word),
];

fn rows(rows: &[ChangedRow], since: u64, until: u64) -> Markup {
    html! {
        table.changes.cards.long #changed-rows {
            caption.visually-hidden { "Changed rows by user ID" }
            (table::head(&COLUMNS))
            tbody {
                @for row in rows { (changed_row(row, since, until)) }
            }
        }
    }
}

fn changed_row(row: &ChangedRow, since: u64, until: u64) -> Markup {
    let (change, label, class) = match (&row.before, &row.after) {
        (None, _) => ("insert", "added", "success"),
        (Some(_), Some(_)) => ("update", "changed", ""),
        (Some(_), None) => ("delete", "removed", "warning"),
    };
    let (before, after) = (row.before.as_ref(), row.after.as_ref());
    // A removed user has a page only in the earlier version.
    let version = if after.is_some() { until } else { since };
    let name = |name: fn(&RowValues) -> &str| html! { bdi.exact { (compared(before.map(name), after.map(name))) } };
    let (birth_before, birth_after) = births(before.map(|row| row.birth), after.map(|row| row.birth));
    let [user, kind, first_name, last_name, born, image_column] = COLUMNS;
    html! {
        tr data-user-id=(row.user_id) data-change=(change) {
            (user.cell(&html! { a href={ (links::user(&row.user_id)) "?version=" (version) } { (row.user_id) } }))
            (kind.cell(&html! { span class={ "badge " (class) } { (label) } }))
            (first_name.cell(&name(|row| &row.first_name)))
            (last_name.cell(&name(|row| &row.last_name)))
            (born.cell(&compared(birth_before.as_deref(), birth_after.as_deref())))
            (image_column.cell(&compared(before.map(image), after.map(image))))
        }
    }
}

/// The days of both births; their times if the day is the same.
fn births(before: Option<BirthTimestamp>, after: Option<BirthTimestamp>) -> (Option<String>, Option<String>) {
    let day = |birth: BirthTimestamp| birth.day().date().to_string();
    let time = |birth: BirthTimestamp| Timestamp::from_millisecond(birth.as_ms()).map_or_else(|_| day(birth), |at| at.to_string());
    match (before, after) {
        (Some(before), Some(after)) if before != after && before.day() == after.day() => (Some(time(before)), Some(time(after))),
        (before, after) => (before.map(day), after.map(day)),
    }
}

fn image(row: &RowValues) -> &'static str {
    if row.has_image { "yes" } else { "no" }
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
    use super::*;

    #[test]
    fn different_value_is_marked() {
        assert_eq!(compared(Some("Ada"), Some("Ada")).0, "Ada");
        assert_eq!(compared(Some("Ada"), Some("<b>")).0, "<del>Ada</del><ins>&lt;b&gt;</ins>");
        assert_eq!(compared(None, Some("Ada")).0, "<ins>Ada</ins>");
        assert_eq!(compared(Some("Ada"), None).0, "<del>Ada</del>");
    }

    #[test]
    fn births_on_one_day_are_shown_with_their_times() {
        let birth = |ms| BirthTimestamp::from_ms(ms);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(births(birth(0), birth(86_400_000)), (text("1970-01-01"), text("1970-01-02")));
        assert_eq!(births(None, birth(1)), (None, text("1970-01-01")));
        assert_eq!(
            births(birth(0), birth(1_000)),
            (text("1970-01-01T00:00:00Z"), text("1970-01-01T00:00:01Z"))
        );
        assert_eq!(births(birth(5), birth(5)), (text("1970-01-01"), text("1970-01-01")));
    }
}
