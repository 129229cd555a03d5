//! The path of a row whose ID has several values: `/data/{plate}/{well}`.
//!
//! The routes have one segment for the ID. Before a request is routed, the segments of the values become one, separated by encoded slashes.

use axum::{
    extract::Request,
    http::{Extensions, Uri, uri::PathAndQuery},
};
use datalake_core::dataset::Dataset;

use crate::snapshots::watch::TableWatch;

/// The start of the paths of rows.
const ROWS: &str = "/data/";

/// Between the values of an ID in one segment.
const ENCODED_SLASH: &str = "%2F";

/// The path of a request before its ID was joined.
#[derive(Clone, Debug)]
struct SentPath(Box<str>);

/// The path that the client sent.
pub fn sent(request: &Request) -> &str {
    sent_of(request.extensions(), request.uri())
}

/// The path that the client sent, of the parts of a request.
pub(crate) fn sent_of<'r>(extensions: &'r Extensions, uri: &'r Uri) -> &'r str {
    extensions.get().map_or(uri.path(), |SentPath(path)| path)
}

/// The template of the path of a row: `/data/{user_id}`, `/data/{plate}/{well}`.
pub fn template(dataset: &Dataset) -> String {
    let ids = dataset.columns()[..dataset.id_columns()].iter();
    let segments: Vec<_> = ids.map(|column| format!("{{{}}}", column.name)).collect();
    format!("{ROWS}{}", segments.join("/"))
}

/// The request with the ID of its row in one segment.
pub fn with_joined_id(table: &TableWatch, mut request: Request) -> Request {
    if request.uri().path().starts_with(ROWS)
        && let Some(uri) = joined(request.uri(), table.dataset().id_columns())
    {
        let sent = SentPath(request.uri().path().into());
        request.extensions_mut().insert(sent);
        *request.uri_mut() = uri;
    }
    request
}

/// The address with an ID of several values in one segment; none for an address that has no such ID.
fn joined(uri: &Uri, values: usize) -> Option<Uri> {
    let path = uri.path();
    let rest = path.strip_prefix(ROWS).filter(|_| values > 1)?;
    let (rest, slashes) = rest.split_at(rest.trim_end_matches('/').len());
    let segments: Vec<_> = rest.split('/').collect();
    let (id, others) = segments.split_at_checked(values)?;
    // No value has a slash: the client has joined the ID.
    if id[0].to_ascii_uppercase().contains(ENCODED_SLASH) {
        return None;
    }
    let path = [&[id.join(ENCODED_SLASH).as_str()], others].concat().join("/") + slashes;
    let query = uri.query().map_or(String::new(), |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{ROWS}{path}{query}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, values: usize, expected: Option<&str>) {
        let uri = joined(&address.parse().unwrap(), values).map(|uri| uri.to_string());
        assert_eq!(uri.as_deref(), expected, "{address}");
    }

    #[test]
    fn values_of_an_id_become_one_segment() {
        check("/data/P1/A01", 2, Some("/data/P1%2FA01"));
        check("/data/P1/A01/history?x=/", 2, Some("/data/P1%2FA01/history?x=/"));
        check("http://host/data/P1/A01/scan", 2, Some("http://host/data/P1%2FA01/scan"));
        check("/data/P1", 2, None);
        check("/data/P1/A01/", 2, Some("/data/P1%2FA01/"));
        check("/data/P1/", 2, None);
        check("/data/P1%2FA01", 2, None);
        check("/data/P1%2fA01/history", 2, None);
        check("/data/1000/image", 1, None);
        check("/stats/P1/A01", 2, None);
        assert_eq!(template(Dataset::users()), "/data/{user_id}");
        let wells = Dataset::parse("source.key = 'src-data/{plate}/{well}.csv'").unwrap();
        assert_eq!(template(&wells), "/data/{plate}/{well}");
    }
}
