//! Two versions of the table compared.

pub(crate) mod table;

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_table::{delta::version::VersionFacts, memory::difference::Difference};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components,
    diff::table::Changes,
    page::{api_address::ApiAddress, context::PageContext, csp::Page, layout::View},
};
use datalake_api::{
    problem::Problem,
    request::{query_string::QueryString, snapshot::ReadAt, version_reader::VersionReader},
    routes::changes::Span,
};

/// The two versions asked for. Whoever picks them from a list may name the later one first.
pub(crate) struct Pair {
    since: u64,
    until: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for Pair {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        let Span { since, until } = Span::parse(&pairs)?;
        Ok(match until {
            Some(until) if until < since => Self {
                since: until,
                until: Some(since),
            },
            _ => Self { since, until },
        })
    }
}

/// What two versions show differently.
pub(crate) async fn show(
    visit: PageContext,
    Pair { since, until }: Pair,
    read_at: ReadAt,
    versions: VersionReader,
) -> Result<Response, Problem> {
    let (newest, now) = (&read_at.snapshot, read_at.now());
    let after = match until {
        Some(until) => versions.at(until, newest, now).await?,
        None => Arc::clone(newest),
    };
    let before = versions.at(since, newest, now).await?;
    let (since, until) = (before.version().facts(), after.version().facts());
    let changes = Changes::first_of(Difference::between(&before, &after), table::ROWS_MAX, &read_at.scan_pool).await?;
    let address = address(since.number, until.number);
    let frame = visit.frame(View::Changes, "Two versions compared").api(address.clone());
    let main = compared(&since, &until, &changes, &address, visit.now);
    Ok((read_at.with_snapshot(after).freshness_headers(), Page(frame.page(&main))).into_response())
}

/// The request that answers what differs between two versions.
pub(crate) fn address(since: u64, until: u64) -> ApiAddress {
    ApiAddress::new(format!("/changes?since={since}&until={until}"))
}

fn compared(since: &VersionFacts, until: &VersionFacts, changes: &Changes, address: &ApiAddress, now: Timestamp) -> Markup {
    let title = format!("Versions {} and {}", since.number, until.number);
    let line = html! { "What was in version " (since.number) ", and what is in version " (until.number) "." };
    let other = html! { div.actions { a.button href="/page/versions" { "All versions" } } };
    html! {
        (components::heading(&title, &line, &other))
        section.card aria-labelledby="compared" {
            h2 #compared { "The versions" }
            dl.pairs {
                (version("Before", since, now))
                (version("After", until, now))
            }
            details #others {
                summary { "Compare others" }
                form.filters action="/page/changes" method="get" {
                    (number("since", "From version", since.number))
                    (number("until", "To version", until.number))
                    div.actions.whole { button.primary type="submit" { "Compare" } }
                }
            }
        }
        section.card aria-labelledby="difference" data-since=(since.number) data-until=(until.number) {
            header {
                h2 #difference { "Rows that differ" }
                a.small href=(address.as_str()) { "as NDJSON" }
            }
            (table::table(changes, since.number, until.number))
        }
    }
}

/// Versions of two pages of the list are compared by their numbers.
fn number(name: &str, words: &str, version: u64) -> Markup {
    html! {
        div.field {
            label for=(name) { (words) }
            input id=(name) type="number" name=(name) min="0" step="1" inputmode="numeric" required value=(version);
        }
    }
}

fn version(term: &str, facts: &VersionFacts, now: Timestamp) -> Markup {
    html! {
        dt { (term) }
        dd {
            "Version " (facts.number) ", made " (components::time(facts.committed_at, now))
            @if let Some(run_id) = &facts.run_id { " by run " a href={ "/page/runs/" (run_id) } { (run_id) } }
        }
    }
}
