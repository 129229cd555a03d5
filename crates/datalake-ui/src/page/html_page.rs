//! A page as an HTTP response: its media type, content security policy and caching.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use maud::Markup;

use datalake_http::conditional::PRIVATE;

/// A page loads only assets of this server, sends requests and forms only to it, and cannot be framed by other sites.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                                       form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    // Pages contain names of users, so shared caches must not store them.
    (header::CACHE_CONTROL, PRIVATE),
    // Other sites receive no address. With `no-referrer`, browsers would send the page's own forms with `Origin: null`.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

/// A page as a response.
#[derive(Debug)]
pub(crate) struct HtmlPage(pub(crate) Markup);

impl IntoResponse for HtmlPage {
    fn into_response(self) -> Response {
        (HEADERS, Html(self.0.into_string())).into_response()
    }
}
