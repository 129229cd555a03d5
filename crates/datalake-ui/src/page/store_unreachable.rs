//! The banner that every page shows while the store is unreachable: pages then show the last loaded version.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{self, Severity, format},
    page::lake_status::LakeStatus,
};
use datalake_api::{lake_label::LakeLabel, snapshots::watch::TableState};

/// How to find the cause of a failure to read the lake. `label` has the arguments of the command, for clients that may know them.
pub(crate) fn check_log(label: Option<&LakeLabel>) -> Markup {
    let arguments = label.map(LakeLabel::arguments).filter(|arguments| !arguments.is_empty());
    html! {
        @match arguments {
            Some(arguments) => {
                p { "See the server log for the cause, or check the lake:" }
                (components::shell(&format!("datalake doctor {arguments}")))
            },
            None => p { "See the server log for the cause, or ask the operator to run " code { "datalake doctor" } "." },
        }
    }
}

/// Since when the store has been unreachable. None while it is reachable, or before a table was loaded.
fn unreachable_since(lake: &LakeStatus) -> Option<Timestamp> {
    let table = &lake.table;
    table.failing_since.filter(|_| !matches!(table.state, TableState::Loading))
}

/// The banner; none while the store is reachable, or before a table was loaded.
pub(crate) fn store_unreachable(lake: &LakeStatus, label: Option<&LakeLabel>) -> Option<Markup> {
    let table = &lake.table;
    let since = unreachable_since(lake)?;
    let message = html! {
        p {
            "The store, or the table in it, has been unreadable since " (format::time(since, lake.now)) ". "
            @if let (TableState::Loaded(_), Some(checked_at)) = (&table.state, table.checked_at) {
                "This page still serves the last data confirmed at " (format::time(checked_at, lake.now)) "."
            }
        }
        (check_log(label))
    };
    Some(components::banner(
        Severity::Error,
        "store-unreachable",
        "The store is unreachable",
        &message,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_has_the_arguments_of_a_known_lake() {
        let label = LakeLabel::new(None, "bucket".into(), "s3://bucket".into(), "--lake s3://bucket".into());
        let known = check_log(Some(&label)).into_string();
        assert!(known.contains("datalake doctor --lake s3://bucket</code>"), "{known}");
        assert!(known.contains("class=\"copy\""), "{known}");
        for unknown in [check_log(None), check_log(Some(&LakeLabel::default()))] {
            assert!(!unknown.into_string().contains("--lake"));
        }
    }
}
