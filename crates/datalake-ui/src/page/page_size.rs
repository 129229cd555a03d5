//! How many rows the lists of runs and versions show on one page.

use datalake_api::request::query_string::QueryString;
use datalake_core::query::error::QueryError;

/// One day of hourly runs; about 20 KB of HTML.
pub(crate) const PAGE_SIZE: usize = 25;

/// The parameter `limit`, or [`PAGE_SIZE`] without it.
pub(crate) fn limit(pairs: &QueryString) -> Result<usize, QueryError> {
    pairs.limit(PAGE_SIZE, PAGE_SIZE, " on this page; the API allows up to 1000")
}

/// The parameter `limit` for a link, with its separator; empty for the default.
pub(crate) fn limit_parameter(separator: char, limit: usize) -> String {
    match limit {
        PAGE_SIZE => String::new(),
        _ => format!("{separator}limit={limit}"),
    }
}
