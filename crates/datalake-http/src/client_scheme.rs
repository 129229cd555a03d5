//! The scheme of the client's connection to a proxy.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether the client uses HTTPS, by `X-Forwarded-Proto` or `Forwarded` (RFC 7239). A client can forge both headers, so the result must not be used
/// to protect the server from that client.
pub fn is_https(headers: &HeaderMap) -> bool {
    let first = |name| {
        let value = headers.get(name).map(HeaderValue::as_bytes)?;
        // The proxy that is nearest to the client adds the first element.
        std::str::from_utf8(value).ok()?.split(',').next()
    };
    let of_forwarded = |element: &str| {
        let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let mut pairs = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
        pairs.any(|(_, scheme)| scheme.trim().trim_matches('"').eq_ignore_ascii_case("https"))
    };
    first(X_FORWARDED_PROTO).is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
        || first(header::FORWARDED).is_some_and(of_forwarded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &'static str, value: &'static str, expected: bool) {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
        assert_eq!(is_https(&headers), expected, "{name}: {value}");
    }

    #[test]
    fn first_element_determines_the_scheme() {
        check("x-forwarded-proto", "https", true);
        check("x-forwarded-proto", "HTTPS, http", true);
        check("x-forwarded-proto", "http, https", false);
        check("x-forwarded-proto", "", false);
        check("forwarded", "for=192.0.2.1;proto=https", true);
        check("forwarded", "For=192.0.2.1; Proto=\"https\", proto=http", true);
        check("forwarded", "proto=http, proto=https", false);
        check("forwarded", "for=192.0.2.1", false);
        check("forwarded", "for=\"proto\";by=https", false);
        check("host", "https", false);
    }
}
