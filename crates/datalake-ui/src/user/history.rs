//! What one person's row was, version after version.

use datalake_core::user::BirthTimestamp;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components,
    page::api_address::ApiAddress,
    user::{run, unknown},
    users::{form_query::Query, rows},
};
use datalake_api::{
    problem::Problem,
    routes::history::{HistoryDocument, StateDocument},
};

/// States on a page: a month of a row that changes each day. The API gives all of them.
const STATES_MAX: usize = 30;

/// Bytes of a name that are shown of a state.
const NAME_BYTES_SHOWN: usize = 100;

/// `moment` is what was asked of the person's page: each state leads to the same day.
pub(crate) fn card(user_id: &str, history: &Result<HistoryDocument<'_>, &Problem>, moment: &Query, origin: &str, now: Timestamp) -> Markup {
    html! {
        section.card #history aria-labelledby="history-title" {
            header {
                h2 #history-title { "History" }
                @if let Ok(history) = history {
                    span.small.muted { (components::counted(u64::try_from(history.count).unwrap_or(u64::MAX), "state", "states")) ", the newest first" }
                }
            }
            @match history {
                Ok(history) => {
                    (states(history, moment, now))
                    @if history.states.len() > STATES_MAX { p #more-states { "These are the newest " (STATES_MAX) "." } }
                    p.small.muted #history-ends data-ends=(history.ends) { (ends(history)) }
                }
                Err(Problem::NoSuchUser) => p.muted { "No version that was looked at has this user." },
                Err(problem) => (unknown(problem)),
            }
            (components::curl(origin, &ApiAddress::new(format!("/data/{user_id}/history"))))
        }
    }
}

fn states(history: &HistoryDocument<'_>, moment: &Query, now: Timestamp) -> Markup {
    let own = rows::own(history.user_id);
    let address = |version: u64| moment.without(&["as_of"]).with("version", &version.to_string()).address(&own);
    let older = history.states.iter().skip(1).map(Some).chain([None]);
    components::scroll(
        "States of the row",
        &html! {
            table {
                caption.visually-hidden { "The states of the row; what differs from the state before is marked" }
                thead {
                    tr {
                        @for heading in ["Version", "Change", "When", "First name", "Last name", "Born", "Picture", "Run"] {
                            th scope="col" { (heading) }
                        }
                    }
                }
                tbody {
                    @for (state, older) in history.states.iter().zip(older).take(STATES_MAX) { (line(&address(state.version), state, older, now)) }
                }
            }
        },
    )
}

fn line(address: &str, state: &StateDocument<'_>, older: Option<&StateDocument<'_>>, now: Timestamp) -> Markup {
    let (tone, words) = change(state.change);
    html! {
        tr data-version=(state.version) data-change=[state.change] {
            th scope="row" {
                @if state.row.is_some() {
                    a href=(address) { (state.version) }
                } @else {
                    (state.version)
                }
            }
            td { span class={ "badge " (tone) } { (words) } }
            td { (components::time(state.committed_at, now)) }
            @match &state.row {
                Some(row) => {
                    @let former = older.and_then(|older| older.row.as_ref());
                    td.name dir="auto" { (marked(row.first_name, former.map(|row| row.first_name))) }
                    td.name dir="auto" { (marked(row.last_name, former.map(|row| row.last_name))) }
                    td.nowrap { (marked(&birth(row.birthts), former.map(|row| birth(row.birthts)).as_deref())) }
                    td { (marked(picture(state, older), former.and(older).map(|older| picture(older, None)))) }
                }
                None => td.muted colspan="4" { "no row" },
            }
            td { @if let Some(run_id) = state.run_id { (run(run_id)) } @else { span.muted { "another engine" } } }
        }
    }
}

/// Where the same value stood before, plainly; a new one is marked.
fn marked(value: &str, former: Option<&str>) -> Markup {
    html! {
        @let shown = components::beginning(value, NAME_BYTES_SHOWN);
        @if former.is_none_or(|former| former == value) { (shown) } @else { ins { (shown) } }
    }
}

fn birth(birthts: i64) -> String {
    let birth = BirthTimestamp::from_ms(birthts);
    birth.map_or_else(|| birthts.to_string(), |birth| birth.day().date().to_string())
}

/// A picture that took another's place is a change, too.
fn picture(state: &StateDocument<'_>, older: Option<&StateDocument<'_>>) -> &'static str {
    match (state.image_etag, older.and_then(|older| older.image_etag)) {
        (None, _) => "none",
        (Some(tag), Some(former)) if tag != former => "another one",
        (Some(_), _) => "there",
    }
}

fn change(change: Option<&str>) -> (&'static str, &'static str) {
    match change {
        Some("insert") => ("good", "added"),
        Some("update") => ("", "changed"),
        Some("delete") => ("warn", "removed"),
        _ => ("", "so already"),
    }
}

/// How far back it goes, and why no further.
fn ends(history: &HistoryDocument<'_>) -> String {
    let oldest = history.oldest;
    match history.ends {
        "begin_of_table" => "This goes back to the table's first version.".to_owned(),
        "log_ends" => format!("This goes back to version {oldest}: the log keeps a week."),
        "files_gone" => format!("This goes back to version {oldest}: files that a newer version replaced are kept for a week."),
        _ => format!("This goes back to version {oldest}: more would be too much work for one question."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_marked(value: &str, former: Option<&str>, expected: &str) {
        assert_eq!(marked(value, former).into_string(), expected);
    }

    #[test]
    fn differences_are_marked() {
        check_marked("Ada", None, "Ada");
        check_marked("Ada", Some("Ada"), "Ada");
        check_marked("<Ada>", Some("Bea"), "<ins>&lt;Ada&gt;</ins>");
    }

    #[test]
    fn births_without_a_date_are_numbers() {
        assert_eq!(birth(0), "1970-01-01");
        assert_eq!(birth(i64::MAX), i64::MAX.to_string());
    }
}
