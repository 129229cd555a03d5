//! Paths of pages and files. No other file writes the path of the page of a row or a run, or of a file.

use datalake_api::{problem::document, routes::reject_reference};
use url::form_urlencoded;

use crate::page::query::Query;

pub(crate) const OVERVIEW: &str = "/";
pub(crate) const ROWS: &str = "/page/users";
pub(crate) const RUNS_PAGE: &str = "/page/runs";
pub(crate) const REJECTS: &str = "/page/rejects";
pub(crate) const VERSIONS: &str = "/page/versions";
pub(crate) const CHANGES: &str = "/page/changes";
pub(crate) const EXAMPLES: &str = "/page/examples";
pub(crate) const LIVE: &str = "/page/live";
pub(crate) const SIGN_IN: &str = "/page/sign-in";
pub(crate) const THEME: &str = "/page/theme";
pub(crate) const SIGN_OUT: &str = "/page/sign-out";

/// The reference of reject codes.
pub(crate) const REJECT_REFERENCE: &str = reject_reference::PAGE;

/// The reference of problems.
pub(crate) const PROBLEM_REFERENCE: &str = document::REFERENCE;

/// Browsers request it for documents that are not pages.
pub(crate) const FAVICON: &str = "/favicon.ico";

/// The prefix of all assets.
pub(crate) const ASSETS: &str = "/page/assets/";

/// Whether a path signs in or out, which needs no token.
pub(crate) fn is_sign_in(path: &str) -> bool {
    path == SIGN_IN || path == SIGN_OUT
}

/// The page of a row. `id` is its ID as readers see it.
pub(crate) fn row(id: &str) -> String {
    format!("{ROWS}/{}", encode_segment(id))
}

/// The page of a row at the version and on the day that a query selects.
pub(crate) fn row_at(id: &str, query: &Query) -> String {
    query.time_travel().address(&row(id))
}

/// A run's page. Run IDs need no encoding.
pub(crate) fn run(run_id: impl std::fmt::Display) -> String {
    format!("{RUNS_PAGE}/{run_id}")
}

/// The explanation of a reject code.
pub(crate) fn reject_code(code: &str) -> String {
    reject_reference::address(code)
}

/// The comparison of two versions.
pub(crate) fn changes(since: u64, until: u64) -> String {
    format!("{CHANGES}?since={since}&until={until}")
}

/// The rows of a version.
pub(crate) fn rows_at_version(version: u64) -> String {
    format!("{ROWS}?version={version}")
}

/// A row in the API.
pub(crate) fn data(id: &str) -> String {
    id.split('/')
        .fold("/data".to_owned(), |path, value| path + "/" + &encode_segment(value))
}

/// A file of a row. The version makes the address unique for each file, so that no browser shows a cached earlier one; a replica that has not
/// loaded the version yet waits for it.
pub(crate) fn file(id: &str, name: &str, version: u64) -> String {
    format!("{}/{name}?min_version={version}&wait=5s", data(id))
}

/// Percent-encodes one segment of a path.
pub(crate) fn encode_segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_percent_encoded() {
        assert_eq!(encode_segment("a b+c/ü"), "a%20b%2Bc%2F%C3%BC");
        assert_eq!(row("a b"), "/page/users/a%20b");
    }

    #[test]
    fn page_of_a_row_keeps_version_and_day() {
        let query = Query::new([("min_age", "3"), ("on", "2020-01-01"), ("version", "2")]);
        assert_eq!(row_at("1", &query), "/page/users/1?on=2020-01-01&version=2");
    }
}
