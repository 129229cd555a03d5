//! The banner that every page shows while the store is unreachable: pages then show the last loaded version.

use maud::{Markup, html};

use crate::{
    components::{self, Severity, format},
    page::status::LakeStatus,
};
use datalake_api::snapshots::watch::TableState;

/// How to find the cause of a failure to read the lake.
pub(crate) fn check_log() -> Markup {
    html! { "See the server log for the cause, or run " code { "datalake doctor --lake URL" } "." }
}

/// The banner; none while the store is reachable, or before a table was loaded.
pub(crate) fn store_unreachable(lake: &LakeStatus) -> Option<Markup> {
    let table = &lake.table;
    let since = table.failing_since.filter(|_| !matches!(table.state, TableState::Loading))?;
    let message = html! {
        p {
            "The store, or the table in it, has been unreadable since " (format::time(since, lake.now)) ". "
            @if let (TableState::Loaded(_), Some(checked_at)) = (&table.state, table.checked_at) {
                "This page still serves the last data confirmed at " (format::time(checked_at, lake.now)) ". "
            }
            (check_log())
        }
    };
    Some(components::banner(
        Severity::Error,
        "store-unreachable",
        "The store is unreachable",
        &message,
    ))
}
