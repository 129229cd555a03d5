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
        let text = match extension {
            "css" => minify_style(text),
            _ => minify(text),
        };
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

/// Removes the white space around the punctuation of a style. Strings stay as they are.
fn minify_style(text: &str) -> String {
    const SHORTER: [(&str, &str); 8] = [
        ("\n", ""),
        (" {", "{"),
        ("{ ", "{"),
        (" }", "}"),
        (";}", "}"),
        ("; ", ";"),
        (": ", ":"),
        (", ", ","),
    ];
    let compact = |part: &str| SHORTER.iter().fold(part.to_owned(), |text, (from, to)| text.replace(from, to));
    let parts = minify(text);
    let parts = parts.split('"').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 0 { compact(part) } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("\"")
}

/// One style for all pages: the design system first, because the other files use its values.
const STYLES: &str = concat!(
    include_str!("assets/tokens.css"),
    include_str!("assets/page.css"),
    include_str!("assets/tables.css"),
    include_str!("assets/frame.css"),
);

/// One script for all pages. Each file is a function of its own.
const SCRIPTS: &str = concat!(include_str!("assets/page.js"), include_str!("assets/shortcuts.js"),);

static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", STYLES));
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", SCRIPTS));
/// Only the list of users loads this.
static USERS_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/users.css")));
/// Only pages that show details load this: single users, rejects, versions, a run.
static DETAILS_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/details.css")));
/// Only pages with forms, images or paths to copy load this.
static VIEW_SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/views.js")));
/// Only pages that start, follow or stop runs load these two.
static RUN_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/runs.css")));
static RUN_SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/runs.js")));
/// Only pages with charts load these two.
static CHART_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/charts.css")));
static CHART_SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/charts.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("assets/icon.svg")));

/// The address of the style.
pub(crate) fn style() -> String {
    STYLE.address()
}

/// The address of the script.
pub(crate) fn script() -> String {
    SCRIPT.address()
}

/// The address of the style of the list of users.
pub(crate) fn users_style() -> String {
    USERS_STYLE.address()
}

/// The address of the style of details.
pub(crate) fn details_style() -> String {
    DETAILS_STYLE.address()
}

/// The address of the script of forms, images and paths.
pub(crate) fn view_script() -> String {
    VIEW_SCRIPT.address()
}

/// The address of the style of runs.
pub(crate) fn run_style() -> String {
    RUN_STYLE.address()
}

/// The address of the script of runs.
pub(crate) fn run_script() -> String {
    RUN_SCRIPT.address()
}

/// The address of the style of charts.
pub(crate) fn chart_style() -> String {
    CHART_STYLE.address()
}

/// The address of the script of charts.
pub(crate) fn chart_script() -> String {
    CHART_SCRIPT.address()
}

/// The address of the icon.
pub(crate) fn icon() -> String {
    ICON.address()
}

/// An asset. A name with another digest belongs to another release; a page of that release requests its assets again after a reload.
pub(crate) async fn show(PathParameter(name): PathParameter, _: NoParameters) -> Result<Response, Problem> {
    let assets = [
        &*STYLE,
        &*SCRIPT,
        &*USERS_STYLE,
        &*DETAILS_STYLE,
        &*VIEW_SCRIPT,
        &*RUN_STYLE,
        &*RUN_SCRIPT,
        &*CHART_STYLE,
        &*CHART_SCRIPT,
        &*ICON,
    ];
    let asset = assets
        .into_iter()
        .find(|asset| asset.name == name)
        .ok_or(Problem::NoSuchPath { nearest: None })?;
    Ok((HEADERS, [(header::CONTENT_TYPE, asset.media_type)], asset.text.as_str()).into_response())
}

/// The icon at an address without a digest, so it is revalidated.
pub(crate) async fn show_icon(_: NoParameters) -> Response {
    let headers = [
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::CONTENT_TYPE, ICON.media_type),
    ];
    (headers, ICON.text.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_are_removed() {
        assert_eq!(minify("a {\n  b: c;\n\n}\n/* d */\n// e\nf(); // g\n"), "a {\nb: c;\n}\nf(); // g");
    }

    #[test]
    fn styles_are_compact_and_keep_their_strings() {
        let style = "a, b > c {\n  d: e(f, g - 1px); h: i;\n}\na::before { content: \": , {\"; }\n";
        assert_eq!(minify_style(style), "a,b > c{d:e(f,g - 1px);h:i}a::before{content:\": , {\"}");
    }

    #[test]
    fn script_has_no_multiline_template_literals() {
        // Removing indentation would change their content.
        let scripts = [
            SCRIPTS,
            include_str!("assets/views.js"),
            include_str!("assets/runs.js"),
            include_str!("assets/charts.js"),
        ];
        let scripts = scripts.concat();
        assert!(scripts.lines().all(|line| line.matches('`').count() % 2 == 0));
    }
}
