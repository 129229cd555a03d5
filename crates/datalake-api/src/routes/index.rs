//! Where somebody who opens the server begins.

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{accept::Accept, extract::NoParameters, pages::overview::Overview};

/// A query to begin with.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct Example {
    /// The path with its query.
    href: &'static str,
    /// What it answers.
    title: &'static str,
}

const fn example(href: &'static str, title: &'static str) -> Example {
    Example { href, title }
}

const EXAMPLES: &[Example] = &[
    example("/data", "every user"),
    example("/data?is_image_exists=True", "users with a picture"),
    example("/data?is_image_exists=False", "users without a picture"),
    example("/data?min_age=30&max_age=40", "users of 30 to 40 years"),
    example("/data?min_age", "the youngest"),
    example("/data?max_age", "the oldest"),
    example("/data?min_age&max_age", "the youngest and the oldest"),
    example("/data?is_image_exists=True&max_age", "the oldest among those with a picture"),
    example("/data?min_age=30&on=2020-01-01", "those who were at least 30 on 1 January 2020"),
    example("/data/1000", "one user"),
    example("/data/1000/image", "that user's picture"),
    example("/data/1000/history", "what that user's row was, version after version"),
    example("/data/1000/explain", "where that user's values come from"),
    example("/stats", "figures of all users"),
    example("/stats?is_image_exists=True", "figures of the users with a picture"),
    example("/rejects", "the sources that are refused now, with reasons"),
    example("/versions", "the versions of the table, the newest first"),
    example("/data?version=0", "every user as the first version had them"),
    example("/changes?since=0", "what changed since the first version"),
    example("/runs", "the runs, the newest first"),
    example("/openapi.json", "the description of this API"),
    example("/metrics", "metrics of this server"),
];

/// What a client that asks for JSON gets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Index)]
struct IndexDocument {
    /// `datalake`
    name: &'static str,
    /// Queries to begin with.
    examples: &'static [Example],
}

/// The overview as a page; an index with examples of queries for clients that ask for JSON.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "index",
    tag = "server",
    responses((status = 200, description = "The index", content(
        (IndexDocument = "application/json"),
        (String = "text/html"),
    )))
)]
pub(crate) async fn show(overview: Overview, _: NoParameters, headers: HeaderMap) -> Response {
    let document = if prefers_json(&headers) {
        let index = IndexDocument {
            name: "datalake",
            examples: EXAMPLES,
        };
        Json(index).into_response()
    } else {
        overview.into_response()
    };
    // A cache must not hand one client what another asked for.
    ([(header::VARY, "accept")], document).into_response()
}

/// Whether JSON is taken more gladly than HTML. Ranges like `*/*` favour neither.
fn prefers_json(headers: &HeaderMap) -> bool {
    let accept = Accept::of(headers);
    accept.weight("application/json") > accept.weight("text/html")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(accept: &'static str, expected: bool) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(prefers_json(&headers), expected, "Accept: {accept}");
    }

    #[test]
    fn accepted_types() {
        check("application/json", true);
        check("text/plain, APPLICATION/JSON;q=0.2", true);
        check("application/json, text/html;q=0.9", true);
        check("application/json;charset=utf-8; q=0.5, text/html;q=0.4", true);
        check("*/*", false);
        check("", false);
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false);
        check("text/html, application/json", false);
        check("application/json;q=0", false);
    }
}
