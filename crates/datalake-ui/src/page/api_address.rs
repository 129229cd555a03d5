//! The API request behind a page.

/// Path and query of a request to the API. Invariant: it contains no single quote, so that a shell command can quote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiAddress(String);

impl ApiAddress {
    /// Takes an address whose parts are percent-encoded already.
    pub(crate) fn new(address: impl Into<String>) -> Self {
        Self(address.into().replace('\'', "%27"))
    }

    /// The request that answers what a page shows: a page's address differs from it by its path alone, and by `view`, which is how the
    /// page looks. None for a page that shows no answer.
    pub(crate) fn of_page(address: &str) -> Option<Self> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let path = match path.strip_prefix("/page/") {
            None if path == "/" => "/stats".to_owned(),
            None => return None,
            Some(rest) => match rest.split_once('/').map_or((rest, None), |(first, rest)| (first, Some(rest))) {
                ("people", None) => "/data".to_owned(),
                ("people", Some(user_id)) => format!("/data/{user_id}"),
                ("runs" | "rejects" | "versions" | "changes", _) => format!("/{rest}"),
                _ => return None,
            },
        };
        let pairs = query
            .split('&')
            .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some("view"));
        let query = pairs.collect::<Vec<_>>().join("&");
        let separator = if query.is_empty() { "" } else { "?" };
        Some(Self::new(format!("{path}{separator}{query}")))
    }

    /// The path with its query.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_address(page: &str, expected: Option<&str>) {
        assert_eq!(ApiAddress::of_page(page), expected.map(ApiAddress::new), "page: {page}");
    }

    #[test]
    fn pages_stand_for_requests() {
        check_address("/", Some("/stats"));
        check_address("/page/people", Some("/data"));
        check_address("/page/people?min_age&view=gallery&order=age", Some("/data?min_age&order=age"));
        check_address("/page/people?view=table", Some("/data"));
        check_address("/page/people?first_name=view%3D", Some("/data?first_name=view%3D"));
        check_address("/page/people/1000?on=2020-01-01", Some("/data/1000?on=2020-01-01"));
        check_address("/page/runs", Some("/runs"));
        check_address("/page/runs/run-1", Some("/runs/run-1"));
        check_address("/page/changes?since=1&until=2", Some("/changes?since=1&until=2"));
        check_address("/page/examples", None);
        check_address("/page/nowhere", None);
        check_address("/page", None);
        // It will stand between single quotes.
        check_address("/page/people?last_name=O'Hara", Some("/data?last_name=O%27Hara"));
        assert_eq!(ApiAddress::new("/data?x='").as_str(), "/data?x=%27");
    }
}
