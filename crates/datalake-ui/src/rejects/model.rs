//! The request for the rejects page, and the rejects on one page.

use std::collections::BTreeMap;

use axum::{extract::FromRequestParts, http::request::Parts};
use datalake_core::{
    query::as_of::TIME_TRAVEL_PARAMETERS,
    reject::{ExcludedSource, Exclusion},
};

use crate::page::{links, query::Query};
use datalake_api::{problem::Problem, request::query_string::QueryString, routes::rejects::parse_code};

/// The maximum number of rejects on a page, so that the page with its assets stays below 80 KB.
const PAGE_SIZE: usize = 30;

/// The maximum size of keys, reasons and excerpts on a page. The first reject is always shown.
const TEXT_BYTES_MAX: usize = 16_000;

/// The parsed request.
pub(crate) struct RejectsRequest {
    /// Only rejects with this code.
    pub(crate) code: Option<String>,
    /// Only rejects after this key.
    pub(crate) after: Option<String>,
    /// The parameters that select a version. Links keep them.
    pub(crate) time_travel: Query,
}

impl<S: Send + Sync> FromRequestParts<S> for RejectsRequest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&[&["code", "after"], TIME_TRAVEL_PARAMETERS].concat())?;
        let code = pairs.get("code").filter(|code| !code.is_empty()).map(parse_code).transpose()?;
        let time_travel = pairs.iter().filter(|(name, _)| TIME_TRAVEL_PARAMETERS.contains(name));
        Ok(Self {
            code,
            after: pairs.get("after").map(str::to_owned),
            time_travel: Query::new(time_travel),
        })
    }
}

impl RejectsRequest {
    /// The address of a page of the same version.
    pub(crate) fn address(&self, path: &str, code: Option<&str>, after: Option<&str>) -> String {
        let code = code.map(|code| ("code", code));
        let after = after.map(|after| ("after", after));
        Query::new(code.into_iter().chain(self.time_travel.iter()).chain(after)).address(path)
    }

    /// A user's page at the same version.
    pub(crate) fn user_href(&self, user_id: &str) -> String {
        links::user_at(user_id, &self.time_travel)
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
}

/// Selects a page of the excluded sources, which are in the order of their keys. `after` may be a key that no longer exists.
pub(crate) fn paginate<'a>(rejects: &'a [ExcludedSource], code: Option<&str>, after: Option<&str>) -> RejectsPage<'a> {
    let has_code = |open: &&ExcludedSource| code.is_none_or(|code| open.exclusion.code() == code);
    let matching: Vec<_> = rejects.iter().filter(has_code).collect();
    let before = matching.partition_point(|open| after.is_some_and(|after| &*open.key <= after));
    let mut bytes = 0;
    let rest = matching.iter().skip(before).take(PAGE_SIZE).copied().enumerate();
    let fitting = rest.take_while(|(index, open)| {
        bytes += text_bytes(open);
        *index == 0 || bytes <= TEXT_BYTES_MAX
    });
    RejectsPage {
        before,
        entries: fitting.map(|(_, open)| open).collect(),
        total: matching.len(),
    }
}

/// The size of the texts that differ between rejects. The key occurs twice.
fn text_bytes(open: &ExcludedSource) -> usize {
    let excerpt = match &open.exclusion {
        Exclusion::Rejected(reject) => reject.excerpt.as_ref().map_or(0, |excerpt| excerpt.len()),
        Exclusion::Ignored(_) => 0,
    };
    2 * open.key.len() + open.reason().to_string().len() + excerpt
}

/// The number of sources with each code, in descending order.
pub(crate) fn count_by_code(rejects: &[ExcludedSource]) -> Vec<(&'static str, usize)> {
    let mut counts = BTreeMap::new();
    for reject in rejects {
        *counts.entry(reject.exclusion.code()).or_insert(0) += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests;
