//! The style, the script and the icon of the pages. Each is named by a digest of its bytes, so that browsers keep it for good.

use std::sync::LazyLock;

use axum::{
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use crate::ASSETS;
use datalake_api::{
    problem::Problem,
    request::{parameters::NoParameters, path::PathParameter},
};

/// A name never stands for other bytes.
const CACHING: &str = "public, max-age=31536000, immutable";

/// The icon is a document of its own when somebody opens it.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 2] = [(header::CACHE_CONTROL, CACHING), (header::CONTENT_SECURITY_POLICY, POLICY)];

struct Asset {
    name: String,
    media_type: &'static str,
    text: String,
}

impl Asset {
    fn new(extension: &str, media_type: &'static str, text: &str) -> Self {
        let text = light(text);
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

/// The text without what is for its authors: indentation, empty lines, and comments that fill lines of their own.
fn light(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let is_comment = |line: &str| line.starts_with("//") || line.starts_with("/*") && line.ends_with("*/");
    let kept = lines.filter(|line| !line.is_empty() && !is_comment(line));
    kept.collect::<Vec<_>>().join("\n")
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/page.css")));
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/page.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// Where the style lies.
pub(crate) fn style() -> String {
    STYLE.address()
}

/// Where the script lies.
pub(crate) fn script() -> String {
    SCRIPT.address()
}

/// Where the icon lies.
pub(crate) fn icon() -> String {
    ICON.address()
}

/// A file of the pages. Another name is that of another release: a page of it loads its own files when it is opened anew.
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
    fn what_authors_wrote_for_themselves_is_left_out() {
        assert_eq!(light("a {\n  b: c;\n\n}\n/* d */\n// e\nf(); // g\n"), "a {\nb: c;\n}\nf(); // g");
        // A text of several lines would lose its indentation.
        let script = include_str!("assets/page.js");
        assert!(script.lines().all(|line| line.matches('`').count() % 2 == 0));
    }
}
