//! The versions of the table that its log reaches back to, to look at and to compare.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::report::Counts;
use datalake_table::version::{Author, VersionFacts};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    pages::{layout::View, parts, policy::Page, visit::Visit},
    past_versions::{PastVersions, RetainedVersions},
    problem::Problem,
    reading::Reading,
    routes::versions::{Limit, VERSIONS_MAX},
};

/// The newest versions.
pub(super) async fn show(
    visit: Visit,
    Limit(limit): Limit,
    reading: Reading,
    State(past): State<PastVersions>,
) -> Result<Response, Problem> {
    let retained = past.retained(limit).await?;
    let frame = visit.frame(View::Versions, "Versions");
    let main = versions(&retained, visit.now);
    Ok((reading.age(), Page(frame.page(&main))).into_response())
}

fn versions(retained: &RetainedVersions, now: Timestamp) -> Markup {
    let RetainedVersions { newest, oldest, facts } = retained;
    let line = html! {
        "The newest is " (newest) "; the log reaches back to " (oldest) ". The rows of a version are kept for a week after a newer one \
         has replaced it."
    };
    let are_several = facts.len() > 1;
    let lists_all = facts.last().is_none_or(|last| last.number <= *oldest);
    html! {
        (parts::heading("Versions", &line, &html! {}))
        section.card aria-label="Versions" {
            form #compare action="/page/changes" method="get" {
                @if are_several {
                    div.actions {
                        button.primary type="submit" { "Compare" }
                        span.small.muted { "the two that are chosen below" }
                    }
                }
                (parts::scroll("Versions, the newest first", &table(facts, *oldest, are_several, now)))
            }
            @if !lists_all && facts.len() < VERSIONS_MAX {
                p { a href={ "/page/versions?limit=" (VERSIONS_MAX) } { "Older versions, up to " (parts::number(VERSIONS_MAX)) } }
            }
        }
    }
}

/// The newest and the one before it are chosen. `are_several`: there is something to choose.
fn table(facts: &[VersionFacts], oldest: u64, are_several: bool, now: Timestamp) -> Markup {
    html! {
        table #versions {
            caption.visually-hidden { "Versions of the table, the newest first" }
            thead {
                tr {
                    th.number scope="col" { "Version" }
                    @if are_several {
                        th scope="col" { "From" }
                        th scope="col" { "To" }
                    }
                    th scope="col" { "Made" }
                    th scope="col" { "By" }
                    th.number scope="col" { "Added" }
                    th.number scope="col" { "Changed" }
                    th.number scope="col" { "Removed" }
                    th.number scope="col" { "Users" }
                    th scope="col" { "Difference" }
                }
            }
            tbody {
                @for (place, facts) in facts.iter().enumerate() {
                    tr data-version=(facts.number) {
                        th.number scope="row" { a href={ "/page/people?version=" (facts.number) } { (facts.number) } }
                        @if are_several {
                            td { (choice("since", "From", facts.number, place == 1)) }
                            td { (choice("until", "To", facts.number, place == 0)) }
                        }
                        td { (parts::time(facts.committed_at, now)) }
                        td.wrap { (author(facts)) }
                        (counts(facts.counts.as_ref()))
                        td.nowrap {
                            @if let Some(before) = facts.number.checked_sub(1).filter(|before| *before >= oldest) {
                                a href={ "/page/changes?since=" (before) "&until=" (facts.number) } { span.visually-hidden { "Changes " } (before) " → " (facts.number) }
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

fn choice(name: &str, words: &str, number: u64, is_chosen: bool) -> Markup {
    html! { label.choice { input type="radio" name=(name) value=(number) checked[is_chosen] aria-label={ (words) " version " (number) }; } }
}

fn author(facts: &VersionFacts) -> Markup {
    html! {
        @match (facts.author, &facts.run_id) {
            (_, Some(run_id)) => { a href={ "/page/runs/" (run_id) } { (run_id) } },
            (Author::Run, None) => "a run",
            (Author::OtherEngine, None) => {
                "another engine"
                @if let Some(operation) = &facts.operation { ": " (operation) }
            },
            (Author::Unknown, None) => span.muted { "not known: its entry is gone" },
        }
    }
}

fn counts(counts: Option<&Counts>) -> Markup {
    let figures = counts.map(|counts| [counts.added, counts.changed, counts.removed, counts.users]);
    html! {
        @match figures {
            Some(figures) => { @for figure in figures { td.number { (parts::number(figure)) } } },
            None => { @for _ in 0..4 { td.number.muted { "–" } } },
        }
    }
}
