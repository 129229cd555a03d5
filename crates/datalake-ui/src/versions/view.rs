//! Renders the versions page.

use datalake_core::report::Counts;
use datalake_table::delta::version::{Author, VersionFacts};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{number, time},
        pager::Pager,
        run,
    },
    page::{links, page_size::limit_parameter},
};
use datalake_api::{routes::versions::VERSIONS_MAX, snapshots::versions::RetainedVersions};

pub(crate) fn markup(retained: &RetainedVersions, limit: usize, is_first: bool, now: Timestamp) -> Markup {
    let RetainedVersions { newest, oldest, facts } = retained;
    let subtitle = html! {
        "Latest: version " (newest) ". History goes back to version " (oldest) "; row data is kept for one week after a version is replaced."
    };
    let can_compare = facts.len() > 1;
    let pager = pager(retained, limit, is_first);
    html! {
        (components::heading("Versions", &subtitle, &html! {}))
        section.card aria-label="Versions" {
            form #compare action=(links::CHANGES) method="get" {
                @if can_compare {
                    div.actions { button.primary type="submit" { "Compare selected" } }
                }
                (components::scroll("Versions, latest first", &table(facts, *oldest, can_compare, now)))
            }
        }
        @if pager.has_links() { (pager.markup()) }
    }
}

fn pager(retained: &RetainedVersions, limit: usize, is_first: bool) -> Pager {
    let facts = &retained.facts;
    let is_listed = |number: u64| usize::try_from(retained.newest - number).is_ok_and(|skipped| skipped + 1 < VERSIONS_MAX);
    let last = facts
        .last()
        .map(|last| last.number)
        .filter(|last| *last > retained.oldest && is_listed(*last));
    Pager {
        range: html! { @if let (Some(first), Some(last)) = (facts.first(), facts.last()) { "Versions " (first.number) "–" (last.number) } },
        first: (!is_first).then(|| (format!("{}{}", links::VERSIONS, limit_parameter('?', limit)), "Latest versions")),
        next: last.map(|last| {
            (
                format!("{}?before={last}{}", links::VERSIONS, limit_parameter('&', limit)),
                "Older versions",
            )
        }),
    }
}

/// The first two versions are selected for comparison.
fn table(facts: &[VersionFacts], oldest: u64, can_compare: bool, now: Timestamp) -> Markup {
    html! {
        table #versions {
            caption.visually-hidden { "Versions of the table, latest first" }
            thead {
                tr {
                    th.number scope="col" { "Version" }
                    @if can_compare {
                        th scope="col" { "From" }
                        th scope="col" { "To" }
                    }
                    th scope="col" { "Committed" }
                    th scope="col" { "Author" }
                    th.number scope="col" { "Added" }
                    th.number scope="col" { "Changed" }
                    th.number scope="col" { "Removed" }
                    th.number scope="col" { "Users" }
                    th scope="col" { "Changes" }
                }
            }
            tbody {
                @for (index, facts) in facts.iter().enumerate() {
                    tr data-version=(facts.number) {
                        th.number scope="row" { a href=(links::users_at_version(facts.number)) { (facts.number) } }
                        @if can_compare {
                            td { (radio("since", "From", facts.number, index == 1)) }
                            td { (radio("until", "To", facts.number, index == 0)) }
                        }
                        td { (time(facts.committed_at, now)) }
                        td.wrap { (author(facts)) }
                        (counts(facts.counts.as_ref()))
                        td.nowrap {
                            @if let Some(previous) = facts.number.checked_sub(1).filter(|previous| *previous >= oldest) {
                                a href=(links::changes(previous, facts.number)) { span.visually-hidden { "Changes " } (previous) " → " (facts.number) }
                            } @else {
                                span.muted { "–" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn radio(name: &str, label: &str, number: u64, is_selected: bool) -> Markup {
    html! { label.choice { input type="radio" name=(name) value=(number) checked[is_selected] aria-label={ (label) " version " (number) }; } }
}

fn author(facts: &VersionFacts) -> Markup {
    html! {
        @match (facts.author, &facts.run_id) {
            (_, Some(run_id)) => (run::link(run_id.as_str())),
            (Author::Run, None) => "a run",
            (Author::OtherEngine, None) => {
                "another engine"
                @if let Some(operation) = &facts.operation { ": " (operation) }
            },
            (Author::Unknown, None) => span.muted { "unknown (log entry expired)" },
        }
    }
}

fn counts(counts: Option<&Counts>) -> Markup {
    let counts = counts.map(|counts| [counts.added, counts.changed, counts.removed, counts.users]);
    html! {
        @match counts {
            Some(counts) => { @for count in counts { td.number { (number(count)) } } },
            None => { @for _ in 0..4 { td.number.muted { "–" } } },
        }
    }
}
