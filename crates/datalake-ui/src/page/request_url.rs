//! The URL of a request as the client sees it.

use axum::http::{HeaderMap, Uri, header, uri::Authority};

use datalake_http::client_scheme::is_https;

/// Used if the `Host` header is missing or invalid.
const DEFAULT_HOST: &str = "localhost:8080";

/// Path and query.
pub(crate) fn path_and_query(uri: &Uri) -> String {
    uri.path_and_query().map_or("/", |address| address.as_str()).to_owned()
}

/// Scheme, host and port under which the client reaches the server. A proxy that terminates TLS states this in a header.
pub(crate) fn origin(headers: &HeaderMap, uri: &Uri) -> String {
    let header_text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if is_https(headers) { "https" } else { "http" };
    let host = uri.authority().map(Authority::as_str).or_else(|| header_text(header::HOST));
    // The origin is part of shell commands that users copy, so a host with other characters is not repeated.
    let is_valid = |host: &&str| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let host = host.filter(is_valid).unwrap_or(DEFAULT_HOST);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check_origin(host: &'static str, scheme: Option<&'static str>, expected: &str) {
        let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        if let Some(scheme) = scheme {
            headers.insert("x-forwarded-proto", HeaderValue::from_static(scheme));
        }
        assert_eq!(origin(&headers, &Uri::from_static("/")), expected, "host: {host}");
    }

    #[test]
    fn origin_is_the_host_header_with_the_forwarded_scheme() {
        check_origin("lake.example.com", None, "http://lake.example.com");
        check_origin("lake.example.com", Some("https"), "https://lake.example.com");
        check_origin("[::1]:8080", Some("gopher"), "http://[::1]:8080");
    }

    #[test]
    fn invalid_host_is_replaced_by_the_default() {
        check_origin("x';rm -rf ~;'", None, "http://localhost:8080");
        check_origin("", None, "http://localhost:8080");
    }

    #[test]
    fn absolute_uri_overrides_the_host_header() {
        let uri = Uri::from_static("http://127.0.0.1:99/data");
        assert_eq!(origin(&HeaderMap::new(), &uri), "http://127.0.0.1:99");
    }
}
