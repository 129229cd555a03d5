//! Paths that match no route: a trailing slash is redirected to the path without it; any other path is a problem that suggests a similar
//! path.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use datalake_core::nearest::edits;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::{problem::Problem, request::row_path};
use datalake_http::{percent_encoding::malformed_encoding, server::request_error::RequestError};

/// The response to `OPTIONS *`: the methods that some path supports.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,POST,DELETE,OPTIONS");

/// The characters of a path segment that are percent-encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The templates of all routes, like `/data/{user_id}`.
#[derive(Clone, Debug)]
pub(crate) struct KnownPaths(Arc<[String]>);

impl FromIterator<String> for KnownPaths {
    fn from_iter<T: IntoIterator<Item = String>>(templates: T) -> Self {
        Self(templates.into_iter().collect())
    }
}

impl KnownPaths {
    /// The response to a request for a path that matches no route.
    pub(crate) fn respond(&self, request: &Request) -> Response {
        let (method, uri) = (request.method(), request.uri());
        let path = uri.path();
        if path == "*" && method == Method::OPTIONS {
            return (StatusCode::NO_CONTENT, [(header::ALLOW, METHODS)]).into_response();
        }
        if let Some(escape) = malformed_encoding(path) {
            let reason = format!("the path has a malformed percent-encoding: `{escape}`; write a percent sign itself as %25");
            return Problem::from(RequestError::malformed(reason)).into_response();
        }
        if let Some(location) = self.without_slash(uri, row_path::sent(request)) {
            return Redirect::permanent(&location).into_response();
        }
        Problem::NoSuchPath {
            nearest: self.nearest(path),
        }
        .into_response()
    }

    /// The sent path and the query without the slashes at the end of the path, if that path has a route. A location that starts with two slashes
    /// would name a host.
    fn without_slash(&self, uri: &Uri, sent: &str) -> Option<String> {
        let path = uri.path().trim_end_matches('/');
        if path.len() == uri.path().len() || !self.0.iter().any(|template| matches_template(template, path)) {
            return None;
        }
        let path = sent.trim_end_matches('/');
        Some(match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }

    /// The path that is most similar, if a typing error can explain the difference.
    fn nearest(&self, path: &str) -> Option<String> {
        // Users type decoded characters.
        let path = percent_decode_str(path).decode_utf8_lossy();
        let near = self.0.iter().filter_map(|template| match is_static(template) {
            true => Some((edits(&path, template)?, template.clone())),
            false => filled(template, &path),
        });
        near.min_by_key(|(edits, _)| *edits).map(|(_, path)| path)
    }
}

fn is_variable(segment: &str) -> bool {
    segment.starts_with('{')
}

fn is_static(template: &str) -> bool {
    !template.contains('{')
}

/// Whether the template matches the path.
fn matches_template(template: &str, path: &str) -> bool {
    let (mut of_template, mut of_path) = (template.split('/'), path.split('/'));
    loop {
        match (of_template.next(), of_path.next()) {
            (None, None) => return true,
            (Some(known), Some(given)) if known == given || is_variable(known) && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// The template, filled with the variable parts of a path with the same number of segments, and the edit distance of the other parts.
fn filled(template: &str, path: &str) -> Option<(usize, String)> {
    let known: Vec<_> = template.split('/').skip(1).collect();
    let given: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if known.len() != given.len() {
        return None;
    }
    let fixed = |segments: &[&str]| {
        let fixed = segments.iter().zip(&known).filter(|(_, known)| !is_variable(known));
        fixed.fold(String::new(), |text, (segment, _)| text + "/" + segment)
    };
    let edits = edits(&fixed(&given), &fixed(&known))?;
    let segments = known
        .iter()
        .zip(&given)
        .map(|(known, given)| if is_variable(known) { given } else { known });
    let encoded = segments.map(|segment| percent_encode(segment.as_bytes(), SEGMENT));
    Some((edits, encoded.fold(String::new(), |path, segment| format!("{path}/{segment}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> KnownPaths {
        let templates = [
            "/",
            "/data",
            "/data.csv",
            "/data/{user_id}",
            "/data/{user_id}/image",
            "/runs",
            "/runs/{run_id}",
            "/stats",
        ];
        templates.into_iter().map(str::to_owned).collect()
    }

    #[track_caller]
    fn check_redirect(address: &str, expected: Option<&str>) {
        let uri: Uri = address.parse().unwrap();
        let location = paths().without_slash(&uri, uri.path());
        assert_eq!(location.as_deref(), expected, "{address}");
    }

    #[test]
    fn trailing_slashes_are_removed() {
        check_redirect("/data/", Some("/data"));
        check_redirect("/data///?min_age&x=/", Some("/data?min_age&x=/"));
        check_redirect("/data/%31/", Some("/data/%31"));
        check_redirect("/data/1/image/?", Some("/data/1/image?"));
        check_redirect("/nowhere/", None);
        // These would redirect to another host, or to themselves.
        check_redirect("//data/", None);
        check_redirect("//evil.example/", None);
        check_redirect("/data//image/", None);
        check_redirect("/", None);
        check_redirect("/data", None);
    }

    #[track_caller]
    fn check_nearest(path: &str, expected: Option<&str>) {
        assert_eq!(paths().nearest(path).as_deref(), expected, "{path}");
    }

    #[test]
    fn similar_path_is_suggested() {
        check_nearest("/datas", Some("/data"));
        check_nearest("/Data", Some("/data"));
        check_nearest("/DATA/1000", Some("/data/1000"));
        check_nearest("/run/x", Some("/runs/x"));
        check_nearest("/data/A%20/imgae", Some("/data/A%20/image"));
        check_nearest("/row/1000", None);
        check_nearest("/date/a<b", Some("/data/a%3Cb"));
        check_nearest("/data.cvs", Some("/data.csv"));
        check_nearest("/dat%61s", Some("/data"));
        check_nearest("/api/data", Some("/data"));
        check_nearest("//stats", Some("/stats"));
        check_nearest("/frobnicate", None);
        check_nearest("/data/1/image/more/still", None);
    }
}
