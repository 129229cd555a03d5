//! The history of a user's row, version by version.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{counted, relative_time, truncate},
        labels,
        row::{birth, text},
        run,
        table::{self, Column, ColumnType},
    },
    page::{api_address::ApiAddress, links, query::Query},
    user::{model::UserPage, provenance::unavailable},
};
use datalake_api::{
    problem::Problem,
    routes::{
        history::{HistoryDocument, StateDocument},
        row_document::StoredRowDocument,
    },
};

/// How many states the page shows: a month of daily changes. The API returns all of them.
const STATES_MAX: usize = 30;

/// How many bytes of a name a state shows.
const NAME_BYTES_MAX: usize = 100;

const COLUMNS: [Column; 8] = [
    Column::new("Version", ColumnType::Title),
    Column::new("Change", ColumnType::Badge),
    Column::new("Committed", ColumnType::Word),
    Column::new(labels::column(labels::FIRST_NAME), ColumnType::Text),
    Column::new(labels::column(labels::LAST_NAME), ColumnType::Text),
    Column::new(labels::column(labels::BIRTHTS), ColumnType::Word),
    Column::new(labels::column(labels::IMG_PATH), ColumnType::Word),
    Column::new("Run", ColumnType::Word),
];

pub(crate) fn card(user: &UserPage<'_>) -> Markup {
    let history = &user.history;
    html! {
        section.card #history aria-labelledby="history-title" {
            header {
                h2 #history-title { "History" }
                @if let Ok(history) = history {
                    span.small.muted { (counted(datalake_core::count::count(history.count), "state", "states")) ", latest first" }
                }
            }
            @match history {
                Ok(history) => {
                    (states(history, &user.time_travel, user.now))
                    @if history.states.len() > STATES_MAX { p #more-states { "The latest " (STATES_MAX) " states are shown." } }
                    p.small.muted #history-ends data-ends=(history.ends) { (ends(history)) }
                }
                Err(Problem::NoSuchUser) => p.muted { "No history found for this user." },
                Err(problem) => (unavailable(problem)),
            }
            (components::api_request("history-api", user.origin, &ApiAddress::new(format!("/data/{}/history", user.user_id))))
        }
    }
}

fn states(history: &HistoryDocument<'_>, time_travel: &Query, now: Timestamp) -> Markup {
    let path = links::user(history.user_id);
    let href = |version: u64| {
        let query = time_travel.without(&["as_of"]).with("version", &version.to_string());
        query.address(&path)
    };
    let older = history.states.iter().skip(1).map(Some).chain([None]);
    components::scroll(
        "History of the row",
        &html! {
            table.cards {
                caption.visually-hidden { "The states of the row. Differences from the previous state are marked." }
                (table::head(&COLUMNS))
                tbody {
                    @for (state, older) in history.states.iter().zip(older).take(STATES_MAX) { (row(&href(state.version), state, older, now)) }
                }
            }
        },
    )
}

fn row(href: &str, state: &StateDocument<'_>, older: Option<&StateDocument<'_>>, now: Timestamp) -> Markup {
    let (class, label) = change(state.change);
    let [version, kind, committed, first_name, last_name, born, image_column, run_column] = COLUMNS;
    html! {
        tr data-version=(state.version) data-change=[state.change] {
            (version.cell(&html! {
                span.in-card { "Version " }
                @if state.row.is_some() { a href=(href) { (state.version) } } @else { (state.version) }
            }))
            (kind.cell(&html! { span class={ "badge " (class) } { (label) } }))
            (committed.cell(&relative_time(state.committed_at, now)))
            @match &state.row {
                Some(row) => {
                    @let previous = older.and_then(|older| older.row.as_ref());
                    (first_name.cell(&name(text(row.0, 1), previous.map(|row| text(row.0, 1)))))
                    (last_name.cell(&name(text(row.0, 2), previous.map(|row| text(row.0, 2)))))
                    (born.cell(&marked(&day(row), previous.map(day).as_deref())))
                    (image_column.cell(&marked(image(state, older), previous.and(older).map(|older| image(older, None)))))
                }
                None => td.muted colspan="4" { "no row" },
            }
            (run_column.cell(&html! { @if let Some(run_id) = state.run_id { (run::link(run_id)) } @else { span.muted { "another engine" } } }))
        }
    }
}

/// A name in its own direction.
fn name(name: &str, previous: Option<&str>) -> Markup {
    html! { bdi { (marked(name, previous)) } }
}

/// A value, marked if it differs from the previous one.
fn marked(value: &str, previous: Option<&str>) -> Markup {
    html! {
        @let shown = truncate(value, NAME_BYTES_MAX);
        @if previous.is_none_or(|previous| previous == value) { (shown) } @else { ins { (shown) } }
    }
}

fn day(row: &StoredRowDocument<'_>) -> String {
    birth(row.0).day().date().to_string()
}

/// Whether there is an image. A replaced image counts as a change.
fn image(state: &StateDocument<'_>, older: Option<&StateDocument<'_>>) -> &'static str {
    match (state.image_etag, older.and_then(|older| older.image_etag)) {
        (None, _) => "none",
        (Some(etag), Some(previous)) if etag != previous => "replaced",
        (Some(_), _) => "yes",
    }
}

fn change(change: Option<&str>) -> (&'static str, &'static str) {
    match change {
        Some("insert") => ("success", "added"),
        Some("update") => ("", "changed"),
        Some("delete") => ("warning", "removed"),
        _ => ("", "initial"),
    }
}

/// How far back the history goes, and why not further.
fn ends(history: &HistoryDocument<'_>) -> String {
    let oldest = history.oldest;
    match history.ends {
        "begin_of_table" => "The history goes back to the first version of the table.".to_owned(),
        "log_ends" => format!("The history goes back to version {oldest}: older log entries have expired."),
        "files_gone" => format!("The history goes back to version {oldest}: data files are kept for one week after they are replaced."),
        _ => format!("The history goes back to version {oldest}: older history was not scanned."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_marked(value: &str, previous: Option<&str>, expected: &str) {
        assert_eq!(marked(value, previous).into_string(), expected);
    }

    #[test]
    fn different_value_is_marked() {
        check_marked("Ada", None, "Ada");
        check_marked("Ada", Some("Ada"), "Ada");
        check_marked("<Ada>", Some("Bea"), "<ins>&lt;Ada&gt;</ins>");
    }
}
