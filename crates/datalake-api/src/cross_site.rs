//! Requests that change something and that a page of another site had a browser send: refused, as Go's `http.CrossOriginProtection` does. A
//! browser says which site it acts for; other clients say nothing and are no one's tool.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, header, uri::Authority},
};

use crate::cors::AllowList;

/// Whether the request would change something on behalf of a site that is neither the server's own nor allowed.
pub(crate) fn is_cross_site(request: &Request, allowed: &AllowList) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return false;
    }
    let headers = request.headers();
    !is_same_origin(headers, request.uri().authority().map(Authority::as_str)) && allowed.allowed(headers).is_none()
}

/// Whether no browser sent the request, or for a page of this server, or for the user itself.
fn is_same_origin(headers: &HeaderMap, authority: Option<&str>) -> bool {
    // A proxy between them cannot change what the browser says here.
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin
        .zip(host)
        .is_some_and(|((_, origin), host)| origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

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
        let allowed = AllowList::new(&["https://app.example.com".parse().unwrap()]);
        let found = is_cross_site(&request.body(Body::empty()).unwrap(), &allowed);
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
}
