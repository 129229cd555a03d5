//! `/docs`: Swagger UI over the description of the API. All of it comes out of the executable, and the page may load nothing from elsewhere.

use std::io::Read;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use flate2::read::GzDecoder;

use crate::{
    problem::Problem,
    request::query_string::{NoParameters, Segment},
    state::ApiState,
};
use datalake_http::content_coding::accepts;

/// Swagger UI draws its icons from `data:` addresses, and shows a picture that was answered from a `blob:`; all else comes from files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The names do not change with the version: an hour after an upgrade nobody mixes two of them.
const CACHING: &str = "public, max-age=3600";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, CACHING),
    (header::VARY, "accept-encoding"),
];

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: Content,
}

enum Content {
    Plain(&'static [u8]),
    /// As `build.rs` packed it.
    Gzip(&'static [u8]),
}

const fn file(name: &'static str, media_type: &'static str, content: Content) -> File {
    File { name, media_type, content }
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[File] = &[
    file("", HTML, Content::Plain(include_bytes!("../../assets/docs.html"))),
    file("docs.css", STYLE, Content::Plain(include_bytes!("../../assets/docs.css"))),
    file("docs.js", SCRIPT, Content::Plain(include_bytes!("../../assets/docs.js"))),
    file(
        "favicon-32x32.png",
        "image/png",
        Content::Gzip(include_bytes!(concat!(env!("OUT_DIR"), "/favicon-32x32.png.gz"))),
    ),
    file(
        "swagger-ui.css",
        STYLE,
        Content::Gzip(include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz"))),
    ),
    file(
        "swagger-ui-bundle.js",
        SCRIPT,
        Content::Gzip(include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz"))),
    ),
];

/// Where the page and its files are.
pub(crate) const PATHS: [&str; 3] = ["/docs", "/docs/", "/docs/{file}"];

/// The page and its files. None of them is part of the description.
pub(crate) fn router() -> Router<ApiState> {
    let [bare, page, file] = PATHS;
    Router::new()
        .route(bare, get(async |_: NoParameters| Redirect::temporary(page)))
        .route(page, get(async |_: NoParameters, headers: HeaderMap| show("", &headers)))
        .route(
            file,
            get(async |Segment(name): Segment, _: NoParameters, headers: HeaderMap| show(&name, &headers)),
        )
}

fn show(name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let file = FILES
        .iter()
        .find(|file| file.name == name)
        .ok_or(Problem::NoSuchPath { nearest: None })?;
    let media_type = [(header::CONTENT_TYPE, file.media_type)];
    Ok(match file.content {
        Content::Plain(bytes) => (HEADERS, media_type, Bytes::from_static(bytes)).into_response(),
        Content::Gzip(bytes) if accepts(headers, "gzip") => {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (HEADERS, media_type, encoding, Bytes::from_static(bytes)).into_response()
        }
        Content::Gzip(bytes) => (HEADERS, media_type, unpacked(bytes)).into_response(),
    })
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    // gzip ends with the length of what was packed: room for all of it at once.
    let length = bytes
        .last_chunk()
        .and_then(|length| usize::try_from(u32::from_le_bytes(*length)).ok());
    let mut unpacked = Vec::with_capacity(length.unwrap_or_default());
    GzDecoder::new(bytes)
        .read_to_end(&mut unpacked)
        .expect("the build compressed it, and memory does not fail");
    unpacked
}
