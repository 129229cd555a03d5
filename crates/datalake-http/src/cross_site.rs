//! Requests that change something and that a page of another site had a browser send: refused, as Go's `http.CrossOriginProtection` does. A
//! browser says which site it acts for; other clients say nothing and are no one's tool.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Method, header, uri::Authority},
};

use crate::{cors::Cors, forwarded::is_https};

/// In which relation to the server's site the page is that sent the request; `none` if the user did. Only sent over HTTPS and to loopback addresses.
pub const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the request would change something on behalf of a site that is neither the server's own nor allowed.
pub fn is_cross_site(request: &Request, cors: &Cors) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let headers = request.headers();
    !is_same_origin_or_no_browser(headers, request.uri().authority().map(Authority::as_str)) && !cors.allows(headers)
}

/// Whether no browser sent the request, or for a page of this server, or for the user itself.
fn is_same_origin_or_no_browser(headers: &HeaderMap, authority: Option<&str>) -> bool {
    // A proxy between them cannot change what the browser says here.
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    origin.to_str().is_ok_and(|origin| is_of_host(origin, headers, authority))
}

/// Whether a browser states that a page of this server sent the request, which a session needs to change something.
pub fn is_confirmed_same_origin(headers: &HeaderMap, authority: Option<&str>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return false;
    };
    // Behind a proxy that sets another `Host`, only the browser knows.
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    // Browsers write no port that is the scheme's own in either of the two.
    let is_https = is_https(headers);
    is_of_host(origin, headers, authority) && (!is_https || origin.starts_with("https://"))
}

fn is_of_host(origin: &str, headers: &HeaderMap, authority: Option<&str>) -> bool {
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
    fn check(method: &Method, headers: &[(&str, &str)], is_refused: bool) {
        let mut request = Request::builder()
            .method(method)
            .uri("/data")
            .header(header::HOST, "localhost:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let cors = Cors::new(&["https://app.example.com".parse().unwrap()]);
        let found = is_cross_site(&request.body(Body::empty()).unwrap(), &cors);
        assert_eq!(found, is_refused, "{method} {headers:?}");
    }

    #[test]
    fn changes_on_behalf_of_other_sites_are_refused() {
        for method in [Method::POST, Method::DELETE, Method::PUT] {
            let check = |headers, is_refused| check(&method, headers, is_refused);
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
    fn check_own(headers: &[(&'static str, &'static str)], expected: bool) {
        let headers = [("host", "localhost:8080")].iter().chain(headers);
        let headers = headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers: HeaderMap = headers.collect();
        assert_eq!(is_confirmed_same_origin(&headers, None), expected, "{headers:?}");
    }

    #[test]
    fn a_page_of_the_server_names_its_origin() {
        check_own(&[], false);
        check_own(&[("sec-fetch-site", "same-origin")], false);
        check_own(&[("origin", "null")], false);
        check_own(&[("origin", "http://localhost:8080")], true);
        check_own(&[("origin", "http://localhost:8081")], false);
        check_own(&[("origin", "http://localhost")], false);
        check_own(&[("origin", "https://localhost:8080"), ("x-forwarded-proto", "https")], true);
        // A page without TLS could have been changed on the way.
        check_own(&[("origin", "http://localhost:8080"), ("x-forwarded-proto", "https")], false);
        check_own(&[("origin", "https://data.example.com"), ("sec-fetch-site", "same-origin")], true);
        for site in ["none", "same-site", "cross-site"] {
            check_own(&[("origin", "http://localhost:8080"), ("sec-fetch-site", site)], false);
        }
    }
}
