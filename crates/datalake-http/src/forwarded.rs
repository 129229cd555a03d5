//! What a proxy in front of the server states about the client's connection.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Whether the client reached the proxy over HTTPS (`X-Forwarded-Proto`, `Forwarded`). A client can send these headers itself, so nothing that
/// protects the server from that client may depend on them.
pub fn is_https(headers: &HeaderMap) -> bool {
    let first = |name| {
        let value = headers.get(name).map(HeaderValue::as_bytes)?;
        // The first element is that of the proxy that is nearest to the client.
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
    fn proxies_state_the_scheme_of_the_client() {
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
