//! The request for the rejects page, and the rejects on one page.

use std::collections::BTreeMap;

use axum::{extract::FromRequestParts, http::request::Parts};
use datalake_core::{
    dataset::Dataset,
    query::as_of::TIME_TRAVEL_PARAMETERS,
    reject::{ExcludedSource, Exclusion, ExclusionKind},
};

use datalake_table::memory::snapshot::Snapshot;

use crate::page::{links, query::Query};
use datalake_api::{problem::Problem, request::query_string::QueryString, routes::rejects::RejectFilter};

/// The maximum number of rejects on a page, so that the page with its assets stays below 84 KB.
const PAGE_SIZE: usize = 25;

/// The maximum size of keys, reasons and excerpts on a page. The first reject is always shown.
const TEXT_BYTES_MAX: usize = 16_000;

/// The parsed request.
pub(crate) struct RejectsRequest {
    /// Only rejects with this code.
    pub(crate) code: Option<String>,
    /// The tab.
    pub(crate) kind: ExclusionKind,
    /// Only rejects after this key.
    pub(crate) after: Option<String>,
    /// The parameters that select a version. Links keep them.
    pub(crate) time_travel: Query,
}

impl<S: Send + Sync> FromRequestParts<S> for RejectsRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&[&["code", "kind", "after"], TIME_TRAVEL_PARAMETERS].concat())?;
        // A form without JavaScript sends an empty value for "All reasons".
        let is_unset = pairs.get("code") == Some("");
        let RejectFilter { code, kind } = match is_unset {
            true => RejectFilter::parse(&pairs.without(&["code"]))?,
            false => RejectFilter::parse(&pairs)?,
        };
        let of_code = code.as_deref().and_then(ExclusionKind::of_code);
        let time_travel = pairs.iter().filter(|(name, _)| TIME_TRAVEL_PARAMETERS.contains(name));
        Ok(Self {
            kind: kind.or(of_code).unwrap_or(ExclusionKind::Rejected),
            code,
            after: pairs.get("after").map(str::to_owned),
            time_travel: Query::new(time_travel),
        })
    }
}

impl RejectsRequest {
    /// The parameters of a list of the same version.
    pub(crate) fn query(&self, kind: ExclusionKind, code: Option<&str>) -> Query {
        let code = code.map(|code| ("code", code));
        Query::new([("kind", kind.as_str())].into_iter().chain(code).chain(self.time_travel.iter()))
    }

    /// The parameters of this list, without the page.
    pub(crate) fn list(&self) -> Query {
        self.query(self.kind, self.code.as_deref())
    }

    /// The page of a row at the same version.
    pub(crate) fn row_href(&self, id: &str) -> String {
        links::row_at(id, &self.time_travel)
    }

    /// The rejects in the list.
    fn filter(&self) -> RejectFilter {
        RejectFilter {
            code: self.code.clone(),
            kind: Some(self.kind),
        }
    }
}

/// The rejects on one page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RejectsPage<'a> {
    /// The number of rejects on the pages before this one.
    pub(crate) before: usize,
    pub(crate) entries: Vec<&'a ExcludedSource>,
    /// The number of rejects on all pages.
    pub(crate) total: usize,
    /// The previous page starts after this key; none if it is the first page.
    pub(crate) previous: Option<&'a str>,
}

/// The page of a request.
pub(crate) fn page_of<'a>(snapshot: &'a Snapshot, request: &RejectsRequest) -> RejectsPage<'a> {
    paginate(snapshot.dataset(), snapshot.rejects(), &request.filter(), request.after.as_deref())
}

/// Selects a page of the excluded sources, which are in the order of their keys. `after` may be a key that no longer exists.
fn paginate<'a>(dataset: &Dataset, rejects: &'a [ExcludedSource], filter: &RejectFilter, after: Option<&str>) -> RejectsPage<'a> {
    let matching: Vec<_> = rejects.iter().filter(|open| filter.matches(open)).collect();
    let before = matching.partition_point(|open| after.is_some_and(|after| &*open.key <= after));
    let entries = fitting(dataset, matching.iter().skip(before).copied());
    let on_previous = fitting(dataset, matching.iter().take(before).rev().copied()).len();
    let last_before_previous = before.checked_sub(on_previous + 1).and_then(|index| matching.get(index));
    RejectsPage {
        before,
        entries,
        total: matching.len(),
        previous: last_before_previous.map(|open| &*open.key),
    }
}

/// The first of some rejects that fit on a page.
fn fitting<'a>(dataset: &Dataset, rejects: impl Iterator<Item = &'a ExcludedSource>) -> Vec<&'a ExcludedSource> {
    let mut bytes = 0;
    let rejects = rejects.take(PAGE_SIZE).enumerate();
    let fitting = rejects.take_while(|(index, open)| {
        bytes += text_bytes(dataset, open);
        *index == 0 || bytes <= TEXT_BYTES_MAX
    });
    fitting.map(|(_, open)| open).collect()
}

/// The size of the texts that differ between rejects. The key occurs four times.
fn text_bytes(dataset: &Dataset, open: &ExcludedSource) -> usize {
    let excerpt = match &open.exclusion {
        Exclusion::Rejected(reject) => reject.excerpt.as_ref().map_or(0, |excerpt| excerpt.len()),
        Exclusion::Ignored(_) => 0,
    };
    4 * open.key.len() + open.reason(dataset).to_string().len() + excerpt
}

/// The number of sources of a kind with each code, in descending order.
pub(crate) fn count_by_code(rejects: &[ExcludedSource], kind: ExclusionKind) -> Vec<(&'static str, usize)> {
    let mut counts = BTreeMap::new();
    for reject in rejects.iter().filter(|reject| reject.kind() == kind) {
        *counts.entry(reject.exclusion.code()).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests;
