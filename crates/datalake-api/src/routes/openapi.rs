//! The description of the API, made from the handlers themselves.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

/// What no handler says by itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "datalake",
        description = "The users of a lake, and the runs that keep them up to date.\n\nReads are answered from memory: they never wait for a \
                       run and never fail because the store is down. The headers `datalake-version`, `datalake-version-age` and \
                       `datalake-checked-age` (seconds) say how old an answer is. Errors are problem documents (RFC 9457).",
        license(name = "MIT", identifier = "MIT"),
    ),
    tags(
        (name = "data", description = "The users, as the newest version of the table has them"),
        (name = "runs", description = "What reads the sources and makes new versions"),
        (name = "server", description = "For those who run this server"),
    ),
    modifiers(&Token)
)]
pub(crate) struct Description;

/// The bearer token, which a server may or may not need.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The document. It is not part of itself.
pub(crate) fn show(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
