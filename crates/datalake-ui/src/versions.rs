//! The versions of the table that its log reaches back to, page by page, to look at and to compare.

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_core::{query::error::QueryError, report::Counts};
use datalake_table::delta::version::{Author, VersionFacts};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components,
    page::{api_address::ApiAddress, context::PageContext, csp::Page, layout::View},
    runs,
};
use datalake_api::{
    limits::requests::StoreReadPermit,
    problem::Problem,
    request::{query_string::QueryString, snapshot::ReadAt},
    routes::versions::VERSIONS_MAX,
    snapshots::versions::{RetainedVersions, Versions},
};

/// Versions on one page: a day of hourly runs, and some 20 KB of it.
const PAGE_MAX: usize = 25;

/// Which versions are asked for.
pub(crate) struct Asked {
    limit: usize,
    /// The version that the page begins below; none is above the newest.
    before: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check_newest(&["limit", "before", "min_version", "wait"])?;
        let number = |text: &str| {
            text.parse()
                .map_err(|_| QueryError::value("before", "must be the number of a version"))
        };
        Ok(Self {
            limit: pairs.limit(PAGE_MAX, PAGE_MAX, runs::ON_THIS_PAGE)?,
            before: pairs.get("before").map(number).transpose()?,
        })
    }
}

/// The newest versions, or those below one of them.
pub(crate) async fn show(
    visit: PageContext,
    asked: Asked,
    read_at: ReadAt,
    _: StoreReadPermit,
    State(table_versions): State<Versions>,
) -> Result<Response, Problem> {
    let newest = read_at.snapshot.version().number();
    let above = asked.before.map_or(0, |before| newest.saturating_add(1).saturating_sub(before));
    let above = usize::try_from(above).unwrap_or(usize::MAX);
    // The API begins with the newest one.
    let read = above.saturating_add(asked.limit).min(VERSIONS_MAX);
    let mut retained = table_versions.retained(read).await?;
    retained
        .facts
        .retain(|facts| asked.before.is_none_or(|before| facts.number < before));
    let frame = visit.frame(View::Versions, "Versions");
    let frame = frame.api(ApiAddress::new(format!("/versions?limit={read}")));
    let main = versions(&retained, &asked, visit.now);
    Ok((read_at.freshness_headers(), Page(frame.page(&main))).into_response())
}

fn versions(retained: &RetainedVersions, asked: &Asked, now: Timestamp) -> Markup {
    let RetainedVersions { newest, oldest, facts } = retained;
    let line = html! {
        "The newest is " (newest) "; the log reaches back to " (oldest) ". The rows of a version are kept for a week after a newer one \
         has replaced it."
    };
    let are_several = facts.len() > 1;
    html! {
        (components::heading("Versions", &line, &html! {}))
        section.card aria-label="Versions" {
            form #compare action="/page/changes" method="get" {
                @if are_several {
                    div.actions {
                        button.primary type="submit" { "Compare" }
                        span.small.muted { "the two that are chosen below" }
                    }
                }
                (components::scroll("Versions, the newest first", &table(facts, *oldest, are_several, now)))
            }
        }
        (pager(retained, asked))
    }
}

fn pager(retained: &RetainedVersions, asked: &Asked) -> Markup {
    let facts = &retained.facts;
    let limit = |separator| {
        if asked.limit == PAGE_MAX {
            String::new()
        } else {
            format!("{separator}limit={}", asked.limit)
        }
    };
    let is_listed = |number: u64| usize::try_from(retained.newest - number).is_ok_and(|above| above + 1 < VERSIONS_MAX);
    let last = facts
        .last()
        .map(|last| last.number)
        .filter(|last| *last > retained.oldest && is_listed(*last));
    html! {
        @if asked.before.is_some() || last.is_some() {
            nav.pager aria-label="Pages" {
                span { @if let (Some(first), Some(last)) = (facts.first(), facts.last()) { (first.number) " down to " (last.number) } }
                span.actions {
                    @if asked.before.is_some() { a.button #first-page href={ "/page/versions" (limit("?")) } { "Newest" } }
                    @if let Some(last) = last {
                        a.button #next-page rel="next" href={ "/page/versions?before=" (last) (limit("&")) } { "Older versions" }
                    }
                }
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
                        td { (components::time(facts.committed_at, now)) }
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
            Some(figures) => { @for figure in figures { td.number { (components::number(figure)) } } },
            None => { @for _ in 0..4 { td.number.muted { "–" } } },
        }
    }
}
