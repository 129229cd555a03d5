//! Where a browser returns to after it has signed in.

use url::form_urlencoded;

use crate::page::links;

/// The query parameter and form field with the address of the page that the client requested.
pub(crate) const RETURN_TO: &str = "return_to";

/// A longer address is not returned to: it would not fit into the request body together with the token.
const ADDRESS_BYTES_MAX: usize = 4096;

/// An address of this server. Invariant: it begins with exactly one `/` and contains only visible ASCII characters without `\`, so that no
/// browser takes it for an address of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnAddress(String);

impl ReturnAddress {
    /// The address; that of the overview if the client must not be redirected to it.
    pub(crate) fn or_overview(address: &str) -> Self {
        let is_local = address.starts_with('/') && !address.starts_with("//");
        let is_plain = address.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let path = address.split(['?', '#']).next().unwrap_or_default();
        match is_local && is_plain && address.len() <= ADDRESS_BYTES_MAX && !links::is_sign_in(path) {
            true => Self(address.to_owned()),
            false => Self(links::OVERVIEW.to_owned()),
        }
    }

    /// The address of the sign-in page that leads back to this address.
    pub(crate) fn sign_in_address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        format!("{}?{}", links::SIGN_IN, query.append_pair(RETURN_TO, &self.0).finish())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, is_kept: bool) {
        let expected = if is_kept { address } else { links::OVERVIEW };
        assert_eq!(ReturnAddress::or_overview(address).as_str(), expected, "{address:?}");
    }

    #[test]
    fn address_of_this_server_is_kept() {
        check("/", true);
        check("/page/users?min_age&first_name=%2F%2Fa", true);
        check("/data.csv?order=age#x", true);
    }

    #[test]
    fn unsafe_address_becomes_the_overview() {
        for address in [
            "",
            "page/runs",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\r\nset-cookie: a=b",
            " /data",
            "/é",
            "/page/sign-in?return_to=/",
            "/page/sign-out",
        ] {
            check(address, false);
        }
        check(&format!("/{}", "x".repeat(ADDRESS_BYTES_MAX)), false);
    }

    #[test]
    fn sign_in_address_contains_the_encoded_address() {
        let address = ReturnAddress::or_overview("/page/users?min_age&order=age");
        assert_eq!(
            address.sign_in_address(),
            "/page/sign-in?return_to=%2Fpage%2Fusers%3Fmin_age%26order%3Dage"
        );
    }
}
