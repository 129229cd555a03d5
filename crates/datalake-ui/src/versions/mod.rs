//! The versions page: the versions in the table's log, page by page, with a form to compare two of them.

mod view;

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_core::query::error::QueryError;

use crate::page::{api_address::ApiAddress, context::PageContext, html_page::HtmlPage, layout::View, page_size};
use datalake_api::{
    limits::requests::StoreReadPermit,
    problem::Problem,
    request::{query_string::QueryString, selected_snapshot::SelectedSnapshot},
    routes::versions::VERSIONS_MAX,
    snapshots::versions::Versions,
};

/// The parsed request.
pub(crate) struct VersionsRequest {
    limit: usize,
    /// Only versions before this one; without it, the page starts at the latest.
    before: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for VersionsRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check_newest(&["limit", "before", "min_version", "wait"])?;
        let number = |text: &str| {
            text.parse()
                .map_err(|_| QueryError::value("before", "must be the number of a version"))
        };
        Ok(Self {
            limit: page_size::limit(&pairs)?,
            before: pairs.get("before").map(number).transpose()?,
        })
    }
}

/// The latest versions, or those before one of them.
pub(crate) async fn show(
    context: PageContext,
    request: VersionsRequest,
    read_at: SelectedSnapshot,
    _: StoreReadPermit,
    State(versions): State<Versions>,
) -> Result<Response, Problem> {
    let latest = read_at.snapshot.version().number();
    let skipped = request.before.map_or(0, |before| latest.saturating_add(1).saturating_sub(before));
    let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
    // The API has no parameter `before`.
    let count = skipped.saturating_add(request.limit).min(VERSIONS_MAX);
    let mut retained = versions.retained(count).await?;
    retained
        .facts
        .retain(|facts| request.before.is_none_or(|before| facts.number < before));
    let frame = context.frame(View::Versions, "Versions");
    let frame = frame.api(ApiAddress::new(format!("/versions?limit={count}")));
    let is_first = request.before.is_none();
    let main = view::markup(&retained, request.limit, is_first, &context.dataset, context.now);
    Ok((read_at.freshness_headers(), HtmlPage(frame.page(&main))).into_response())
}
