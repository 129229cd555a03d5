//! Protection against cross-site request forgery, as in Go's `http.CrossOriginProtection`. Browsers name the site whose page sends a request in
//! `Sec-Fetch-Site` or `Origin`. Other clients send neither header and cannot be abused by a page.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Method, header, uri::Authority},
};

use crate::{client_scheme::is_https, cors::Cors};

/// How the site of the page that sends a request relates to the server's site (Fetch Metadata). `none` means that the user sends it. Browsers send
/// the header only over HTTPS and to loopback addresses.
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page sends a request with an unsafe method (RFC 9110, section 9.2.1) and its origin is neither the server's nor allowed by `cors`.
pub fn is_cross_site(request: &Request, cors: &Cors) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let headers = request.headers();
    !is_same_origin_or_no_browser(headers, request.uri().authority().map(Authority::as_str)) && !cors.allows(headers)
}

/// Whether a page of this server or the user sends the request, or the client is not a browser.
fn is_same_origin_or_no_browser(headers: &HeaderMap, authority: Option<&str>) -> bool {
    // Unlike `Host`, proxies do not change this header.
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    origin.to_str().is_ok_and(|origin| has_host(origin, headers, authority))
}

/// Whether a browser confirms that a page of this server sends the request. A session requires this for unsafe methods.
pub fn is_confirmed_same_origin(headers: &HeaderMap, authority: Option<&str>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return false;
    };
    // A proxy may have changed `Host`, but not this header.
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    // Browsers omit the default port in both `Origin` and `Host`.
    let is_https = is_https(headers);
    has_host(origin, headers, authority) && (!is_https || origin.starts_with("https://"))
}

fn has_host(origin: &str, headers: &HeaderMap, authority: Option<&str>) -> bool {
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let origin = origin.split_once("://");
    origin
        .zip(host)
        .is_some_and(|((_, origin), host)| origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::HeaderValue};

    use super::*;

    #[track_caller]
    fn check(method: &Method, headers: &[(&str, &str)], is_rejected: bool) {
        let mut request = Request::builder()
            .method(method)
            .uri("/data")
            .header(header::HOST, "localhost:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cors = Cors::new(&["https://app.example.com".parse().unwrap()]);
        let found = is_cross_site(&request.body(Body::empty()).unwrap(), &cors);
        assert_eq!(found, is_rejected, "{method} {headers:?}");
    }

    #[test]
    fn unsafe_requests_of_other_sites_are_detected() {
        for method in [Method::POST, Method::DELETE, Method::PUT] {
            let check = |headers, is_rejected| check(&method, headers, is_rejected);
            check(&[], false);
            check(&[("sec-fetch-site", "same-origin")], false);
            check(&[("sec-fetch-site", "none")], false);
            check(&[("sec-fetch-site", "same-site")], true);
            check(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], true);
            check(&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")], false);
            check(&[("origin", "http://localhost:8080")], false);
            check(&[("origin", "http://localhost:3000")], true);
            check(&[("origin", "https://evil.example")], true);
            check(&[("origin", "null")], true);
            check(&[("origin", "https://app.example.com")], false);
        }
        check(
            &Method::GET,
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
            false,
        );
    }

    #[track_caller]
    fn check_confirmed(headers: &[(&'static str, &'static str)], expected: bool) {
        let headers = [("host", "localhost:8080")].iter().chain(headers);
        let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers: HeaderMap = headers.collect();
        assert_eq!(is_confirmed_same_origin(&headers, None), expected, "{headers:?}");
    }

    #[test]
    fn same_origin_must_be_confirmed() {
        check_confirmed(&[], false);
        check_confirmed(&[("sec-fetch-site", "same-origin")], false);
        check_confirmed(&[("origin", "null")], false);
        check_confirmed(&[("origin", "http://localhost:8080")], true);
        check_confirmed(&[("origin", "http://localhost:8081")], false);
        check_confirmed(&[("origin", "http://localhost")], false);
        check_confirmed(&[("origin", "https://localhost:8080"), ("x-forwarded-proto", "https")], true);
        // An attacker can modify a page that is transferred without TLS.
        check_confirmed(&[("origin", "http://localhost:8080"), ("x-forwarded-proto", "https")], false);
        check_confirmed(&[("origin", "https://data.example.com"), ("sec-fetch-site", "same-origin")], true);
        for site in ["none", "same-site", "cross-site"] {
            check_confirmed(&[("origin", "http://localhost:8080"), ("sec-fetch-site", site)], false);
        }
    }
}
