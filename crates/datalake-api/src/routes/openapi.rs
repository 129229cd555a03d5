//! The description of the API, made from the handlers themselves.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document, RefOr,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::suffixed::refusal;

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

/// What any route may be answered with, and what only the server as a whole decides.
pub(super) fn add_common_refusals(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        if ["/healthz", "/readyz", "/metrics"].contains(&path.as_str()) {
            continue;
        }
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            for (status, description) in [
                ("401", "This server needs a token for this"),
                ("406", "There is no coding that the client takes"),
                ("503", "Too many requests are in flight"),
                ("504", "The request took too long"),
            ] {
                let refusal = || RefOr::T(refusal(description));
                operation.responses.responses.entry(status.to_owned()).or_insert_with(refusal);
            }
        }
    }
}

/// The document. It is not part of itself.
pub(crate) fn show(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
