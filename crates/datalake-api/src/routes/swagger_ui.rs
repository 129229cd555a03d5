//! `/docs`: Swagger UI for the OpenAPI description. All files are part of the executable, and the page may load nothing from other servers.

use std::io::Read;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use flate2::read::GzDecoder;

use crate::{
    lake_label::LakeLabel,
    problem::Problem,
    request::{parameters::NoParameters, path::PathParameter},
    state::ApiState,
    theme::Theme,
};
use datalake_http::content_coding::accepts;

/// Swagger UI loads its icons from `data:` URLs and shows images in responses from `blob:` URLs. Everything else comes from files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file names do not depend on the version. After an upgrade, browsers mix files of two versions for at most an hour.
const CACHING: &str = "public, max-age=3600";

const HEADERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

const FILE_HEADERS: [(HeaderName, &str); 2] = [(header::CACHE_CONTROL, CACHING), (header::VARY, "accept-encoding")];

/// The page has the name of the lake, and the theme of the user.
const PAGE_HEADERS: [(HeaderName, &str); 2] = [(header::CONTENT_TYPE, HTML), (header::CACHE_CONTROL, "private, no-cache")];

const PAGE: &str = include_str!("../../assets/docs.html");

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: Content,
}

enum Content {
    Plain(&'static [u8]),
    /// Compressed by `build.rs`.
    Gzip(&'static [u8]),
}

const fn file(name: &'static str, media_type: &'static str, content: Content) -> File {
    File { name, media_type, content }
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[File] = &[
    file("docs.css", STYLE, Content::Plain(include_bytes!("../../assets/docs.css"))),
    file(
        "docs-theme.js",
        SCRIPT,
        Content::Plain(include_bytes!("../../assets/docs-theme.js")),
    ),
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

/// The paths of the page and its files.
pub(crate) const PATHS: [&str; 3] = ["/docs", "/docs/", "/docs/{file}"];

/// The routes of the page and its files, which are not part of the OpenAPI description.
pub(crate) fn router() -> Router<ApiState> {
    let [bare, page, file] = PATHS;
    Router::new()
        .route(bare, get(async |_: NoParameters| Redirect::temporary(page)))
        .route(
            page,
            get(async |_: NoParameters, State(label): State<LakeLabel>, headers: HeaderMap| {
                (HEADERS, PAGE_HEADERS, render(&label, Theme::from_headers(&headers)))
            }),
        )
        .route(
            file,
            get(async |PathParameter(name): PathParameter, _: NoParameters, headers: HeaderMap| show(&name, &headers)),
        )
}

/// The page in a theme.
fn render(label: &LakeLabel, theme: Theme) -> String {
    let attribute = theme.attribute().map(|name| format!(" data-theme=\"{name}\""));
    let lake = escape(label.name().unwrap_or("datalake"));
    PAGE.replace("{{theme}}", &attribute.unwrap_or_default())
        .replace("{{color_scheme}}", theme.color_scheme())
        .replace("{{lake}}", &lake)
}

/// Escapes text for the content of an element.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn show(name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let file = FILES
        .iter()
        .find(|file| file.name == name)
        .ok_or(Problem::NoSuchPath { nearest: None })?;
    let media_type = [(header::CONTENT_TYPE, file.media_type)];
    Ok(match file.content {
        Content::Plain(bytes) => (HEADERS, FILE_HEADERS, media_type, Bytes::from_static(bytes)).into_response(),
        Content::Gzip(bytes) if accepts(headers, "gzip") => {
            let encoding = [(header::CONTENT_ENCODING, "gzip")];
            (HEADERS, FILE_HEADERS, media_type, encoding, Bytes::from_static(bytes)).into_response()
        }
        Content::Gzip(bytes) => (HEADERS, FILE_HEADERS, media_type, decompress(bytes)).into_response(),
    })
}

fn decompress(bytes: &[u8]) -> Vec<u8> {
    // A gzip file ends with the length of its content.
    let length = bytes
        .last_chunk()
        .and_then(|length| usize::try_from(u32::from_le_bytes(*length)).ok());
    let mut decompressed = Vec::with_capacity(length.unwrap_or_default());
    GzDecoder::new(bytes)
        .read_to_end(&mut decompressed)
        .expect("the build script compressed it");
    decompressed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_has_the_name_of_the_lake_and_the_theme() {
        let label = LakeLabel::new(Some("Sales <b>".into()), String::new(), String::new(), String::new());
        let dark = render(&label, Theme::Dark);
        assert!(dark.contains("<html lang=\"en\" data-theme=\"dark\">"), "{dark}");
        assert!(
            dark.contains("<title>API · Sales &lt;b&gt;</title>") && !dark.contains("<b>"),
            "{dark}"
        );
        let system = render(&LakeLabel::default(), Theme::System);
        assert!(
            system.contains("<html lang=\"en\">") && system.contains("content=\"light dark\""),
            "{system}"
        );
        assert!(
            system.contains("<title>API · datalake</title>") && !system.contains("{{"),
            "{system}"
        );
    }
}
