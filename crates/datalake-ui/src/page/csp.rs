//! What a page may do in a browser: load its own files, ask its own server, and nothing else.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use maud::Markup;

use datalake_http::conditional::PRIVATE;

/// A page runs the one script and loads the one style that come from here; no other site may frame it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// A page names people: it is kept by nobody but the browser, which asks before it shows it again.
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (header::CACHE_CONTROL, PRIVATE),
    // No other site gets an address. With `no-referrer`, browsers would send the forms of the page with `Origin: null`.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

/// A page as an answer.
#[derive(Debug)]
pub(crate) struct Page(pub(crate) Markup);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        (HEADERS, Html(self.0.into_string())).into_response()
    }
}
