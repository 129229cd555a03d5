//! The API request that returns the data of a page.

/// Path and query of a request to the API. Invariant: it contains no single quote, so that it can be quoted in a shell command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiAddress(String);

impl ApiAddress {
    /// From an address whose parts are percent-encoded.
    pub(crate) fn new(address: impl Into<String>) -> Self {
        Self(address.into().replace('\'', "%27"))
    }

    /// The API request for the address of a page; none if no request returns what the page shows. The addresses differ only in the path and
    /// in the parameter `view`, which only pages have.
    pub(crate) fn of_page(address: &str) -> Option<Self> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let path = match path.strip_prefix("/page/") {
            None if path == "/" => "/stats".to_owned(),
            None => return None,
            Some(rest) => match rest.split_once('/').map_or((rest, None), |(first, rest)| (first, Some(rest))) {
                ("users", None) => "/data".to_owned(),
                ("users", Some(user_id)) => format!("/data/{}", user_id.replace("%2F", "/")),
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
    fn pages_have_api_addresses() {
        check_address("/", Some("/stats"));
        check_address("/page/users", Some("/data"));
        check_address("/page/users?min_age&view=gallery&order=age", Some("/data?min_age&order=age"));
        check_address("/page/users?view=table", Some("/data"));
        check_address("/page/users?first_name=view%3D", Some("/data?first_name=view%3D"));
        check_address("/page/users/1000?on=2020-01-01", Some("/data/1000?on=2020-01-01"));
        check_address("/page/users/P1%2FA01", Some("/data/P1/A01"));
        check_address("/page/runs", Some("/runs"));
        check_address("/page/runs/run-1", Some("/runs/run-1"));
        check_address("/page/changes?since=1&until=2", Some("/changes?since=1&until=2"));
    }

    #[test]
    fn pages_without_an_api_request_have_none() {
        check_address("/page/examples", None);
        check_address("/page/nowhere", None);
        check_address("/page", None);
    }

    #[test]
    fn single_quotes_are_encoded_for_the_shell() {
        check_address("/page/users?last_name=O'Hara", Some("/data?last_name=O%27Hara"));
        assert_eq!(ApiAddress::new("/data?x='").as_str(), "/data?x=%27");
    }
}
