//! The comparison of two versions of the table.

pub(crate) mod columns;
pub(crate) mod model;
pub(crate) mod table;
mod view;

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_table::memory::difference::Difference;

use crate::{
    diff::{columns::OtherColumns, model::Changes, view::Comparison},
    page::{
        context::PageContext,
        html_page::HtmlPage,
        layout::{Frame, View},
    },
};
use datalake_api::{
    problem::Problem,
    request::{query_string::QueryString, selected_snapshot::SelectedSnapshot, version_reader::VersionReader},
    routes::changes::Span,
};

/// The maximum number of rows on the page: about 35 KB of HTML. The API returns all of them.
const ROWS_MAX: usize = 100;

/// The two versions to compare. The form allows either order.
pub(crate) struct VersionPair {
    since: u64,
    until: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for VersionPair {
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

/// The rows that differ between two versions, or their columns if those differ.
pub(crate) async fn show(
    context: PageContext,
    VersionPair { since, until }: VersionPair,
    read_at: SelectedSnapshot,
    versions: VersionReader,
) -> Result<Response, Problem> {
    let (latest, now) = (&read_at.snapshot, read_at.now());
    let after = match until {
        Some(until) => versions.at(until, latest, now).await?,
        None => Arc::clone(latest),
    };
    let before = versions.at(since, latest, now).await?;
    let (since, until) = (before.version().facts(), after.version().facts());
    let title = format!("Changes from version {} to {}", since.number, until.number);
    let frame = context.frame(View::Changes, &title);
    let comparison = Comparison {
        title: &title,
        dataset: after.dataset(),
        since: &since,
        until: &until,
        now: context.now,
    };
    let page = if let Some(other) = OtherColumns::between(&before, &after) {
        // The API does not compare such versions either.
        Frame { api: None, ..frame }.page(&comparison.of_columns(&other))
    } else {
        let difference = Difference::between(&before, &after);
        let changes = Changes::first_of(difference, Arc::clone(after.dataset()), ROWS_MAX, &read_at.scan_pool).await?;
        let api = table::api_address(since.number, until.number);
        frame.api(api).page(&comparison.of_rows(&changes))
    };
    Ok((read_at.with_snapshot(after).freshness_headers(), HtmlPage(page)).into_response())
}
