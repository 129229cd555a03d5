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
            "js" => minify_script(text),
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

/// Removes the white space around the operators of a script. Lines with templates, regular expressions or escapes stay as they are, and strings
/// within the other lines.
fn minify_script(text: &str) -> String {
    const SHORTER: [(&str, &str); 14] = [
        (" = ", "="),
        (" => ", "=>"),
        (" === ", "==="),
        (" !== ", "!=="),
        (" && ", "&&"),
        (" || ", "||"),
        (" ? ", "?"),
        (" : ", ":"),
        (", ", ","),
        (": ", ":"),
        (") {", "){"),
        ("if (", "if("),
        ("{ ", "{"),
        (" }", "}"),
    ];
    let text = minify(text);
    let lines = text.lines().map(|line| match line.contains(['`', '/', '\\', '\'']) {
        true => line.to_owned(),
        false => replace_outside_strings(line, &SHORTER),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Removes the white space around the punctuation of a style, and shortens the names of its variables. Strings stay as they are.
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
    shorten_variables(&replace_outside_strings(&minify(text), &SHORTER))
}

fn replace_outside_strings(text: &str, replacements: &[(&str, &str)]) -> String {
    let compact = |part: &str| { replacements.iter() }.fold(part.to_owned(), |text, (from, to)| text.replace(from, to));
    let parts = text.split('"').enumerate();
    let parts = parts.map(|(index, part)| if index % 2 == 0 { compact(part) } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("\"")
}

/// The name of a variable at the start of a text, without its hyphens, and the rest.
fn split_name(text: &str) -> (&str, &str) {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '-';
    text.split_at(text.find(|character| !is_part(character)).unwrap_or(text.len()))
}

/// Replaces the names of the design system's variables by numbers. Names that one file uses alone stay.
fn shorten_variables(text: &str) -> String {
    let shorten = |(index, part): (usize, &str)| {
        let (name, after) = split_name(part);
        match VARIABLES.iter().position(|variable| *variable == name) {
            Some(number) if index > 0 => format!("{number:x}{after}"),
            _ => part.to_owned(),
        }
    };
    let parts: Vec<_> = text.split("--").enumerate().map(shorten).collect();
    parts.join("--")
}

/// The names of the design system's variables.
static VARIABLES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("assets/tokens.css").lines();
    let declared = lines.filter_map(|line| line.trim().strip_prefix("--"));
    declared.map(|declaration| split_name(declaration).0).collect()
});

/// One style for all pages: the design system first, because the other files use its values.
const STYLES: &str = concat!(
    include_str!("assets/tokens.css"),
    include_str!("assets/page.css"),
    include_str!("assets/tables.css"),
    include_str!("assets/frame.css"),
);

const ROWS_STYLES: &str = concat!(include_str!("assets/images.css"), include_str!("assets/rows.css"));
const DETAILS_STYLES: &str = concat!(include_str!("assets/images.css"), include_str!("assets/details.css"));

/// One script for all pages. Each file is a function of its own.
const SCRIPTS: &str = concat!(include_str!("assets/page.js"), include_str!("assets/shortcuts.js"),);

static STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", STYLES));
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", SCRIPTS));
/// Only the list of rows loads this.
static ROWS_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", ROWS_STYLES));
/// Only pages that show details load this: single rows, rejects, versions, a run.
static DETAILS_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", DETAILS_STYLES));
/// Only pages with forms, images or paths to copy load this.
static VIEW_SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/views.js")));
/// Only pages that start, follow or stop runs load these two.
static RUN_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/runs.css")));
static RUN_SCRIPT: LazyLock<Asset> = LazyLock::new(|| Asset::new("js", "text/javascript; charset=utf-8", include_str!("assets/runs.js")));
/// Only pages with charts load these two.
static CHART_STYLE: LazyLock<Asset> = LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/charts.css")));
/// Only overviews with several charts load this.
static DISTRIBUTION_STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css; charset=utf-8", include_str!("assets/distributions.css")));
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

/// The address of the style of the list of rows.
pub(crate) fn rows_style() -> String {
    ROWS_STYLE.address()
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

/// The address of the style of several charts.
pub(crate) fn distribution_style() -> String {
    DISTRIBUTION_STYLE.address()
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
        &*ROWS_STYLE,
        &*DETAILS_STYLE,
        &*VIEW_SCRIPT,
        &*RUN_STYLE,
        &*RUN_SCRIPT,
        &*CHART_STYLE,
        &*DISTRIBUTION_STYLE,
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
    fn variables_of_the_design_system_have_short_names() {
        assert_eq!(VARIABLES.first(), Some(&"ground"));
        assert_eq!(
            minify_style(":root { --ground: #fff; }\na { color: var(--ground); margin: var(--own) 0 var(--surface); }"),
            ":root{--0:#fff}a{color:var(--0);margin:var(--own) 0 var(--1)}"
        );
        assert_eq!(minify_style("a { color: red; }"), "a{color:red}");
    }

    #[test]
    fn scripts_are_compact_and_keep_their_strings() {
        let script = "  const a = (b) => {\n  if (b === \"x = y, z\") f({ b, c: 1 });\n  g(`a = b`);\n  return h / 2, 3;";
        let expected = "const a=(b)=>{\nif(b===\"x = y, z\") f({b,c:1});\ng(`a = b`);\nreturn h / 2, 3;";
        assert_eq!(minify_script(script), expected);
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

    /// The declarations of all styles except those of the design system.
    fn declarations() -> Vec<(&'static str, &'static str)> {
        let styles = [
            include_str!("assets/page.css"),
            include_str!("assets/tables.css"),
            include_str!("assets/frame.css"),
            include_str!("assets/images.css"),
            include_str!("assets/rows.css"),
            include_str!("assets/details.css"),
            include_str!("assets/runs.css"),
            include_str!("assets/charts.css"),
            include_str!("assets/distributions.css"),
        ];
        let blocks = styles
            .into_iter()
            .flat_map(|style| style.split('}'))
            .filter_map(|rule| rule.rsplit_once('{'));
        let declarations = blocks.flat_map(|(_, block)| block.split(';'));
        let pairs = declarations.filter_map(|declaration| declaration.split_once(':'));
        pairs.map(|(name, value)| (name.trim(), value.trim())).collect()
    }

    #[test]
    fn sizes_of_text_and_colors_are_values_of_the_design_system() {
        let found = declarations();
        assert!(found.len() > 500, "{}", found.len());
        let literal: Vec<_> = found
            .into_iter()
            .filter(|(name, value)| {
                let is_size = *name == "font-size" && !value.starts_with("var(--");
                let is_color = value.contains('#') || value.contains("rgb") || value.contains("hsl");
                is_size || is_color
            })
            .collect();
        assert_eq!(literal, [], "use a variable of tokens.css");
    }
}
