//! The style, script and icon of the pages. Their names contain a digest of their content, so that browsers cache them without revalidation.

use std::sync::LazyLock;

use axum::{
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use crate::page::links::ASSETS;
use datalake_api::{
    problem::Problem,
    request::{parameters::NoParameters, path::PathParameter},
};

/// The content of a name never changes.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// The icon is a document of its own if a browser opens it directly.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 2] = [
    (header::CACHE_CONTROL, CACHE_CONTROL),
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
];

struct Asset {
    name: String,
    media_type: &'static str,
    text: String,
}

impl Asset {
    fn new(extension: &str, media_type: &'static str, text: &str) -> Self {
        let text = minify(text);
        let digest = Sha256::digest(&text);
        let digest = digest.iter().take(6).fold(String::new(), |name, byte| format!("{name}{byte:02x}"));
        Self {
            name: format!("page-{digest}.{extension}"),
            media_type,
            text,
        }
    }

    fn address(&self) -> String {
        format!("{ASSETS}{}", self.name)
    }
}

/// Removes indentation, empty lines, and lines that contain only a comment.
fn minify(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let is_comment = |line: &str| line.starts_with("//") || line.starts_with("/*") && line.ends_with("*/");
    let lines = lines.filter(|line| !line.is_empty() && !is_comment(line));
    lines.collect::<Vec<_>>().join("\n")
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/page.css")));
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/page.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// The address of the style.
pub(crate) fn style() -> String {
    STYLE.address()
}

/// The address of the script.
pub(crate) fn script() -> String {
    SCRIPT.address()
}

/// The address of the icon.
pub(crate) fn icon() -> String {
    ICON.address()
}

/// An asset. A name with another digest belongs to another release; a page of that release requests its assets again after a reload.
pub(crate) async fn show(PathParameter(name): PathParameter, _: NoParameters) -> Result<Response, Problem> {
    let assets = [&*STYLE, &*SCRIPT, &*ICON];
    let asset = assets
        .into_iter()
        .find(|asset| asset.name == name)
        .ok_or(Problem::NoSuchPath { nearest: None })?;
    Ok((HEADERS, [(header::CONTENT_TYPE, asset.media_type)], asset.text.as_str()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_are_removed() {
        assert_eq!(minify("a {\n  b: c;\n\n}\n/* d */\n// e\nf(); // g\n"), "a {\nb: c;\n}\nf(); // g");
    }

    #[test]
    fn script_has_no_multiline_template_literals() {
        // Removing indentation would change their content.
        let script = include_str!("assets/page.js");
        assert!(script.lines().all(|line| line.matches('`').count() % 2 == 0));
    }
}
