//! Where somebody who opens the server begins.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{Html, IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    accept::Accept,
    extract::NoParameters,
    table_watch::{Held, TableState, TableWatch},
};

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

/// A page with examples of queries; the same as JSON for clients that ask for JSON.
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
pub(crate) async fn show(State(table): State<TableWatch>, _: NoParameters, headers: HeaderMap) -> Response {
    let document = if prefers_json(&headers) {
        let index = IndexDocument {
            name: "datalake",
            examples: EXAMPLES,
        };
        Json(index).into_response()
    } else {
        (POLICY, Html(page(&table.state()).into_string())).into_response()
    };
    // A cache must not hand one client what another asked for.
    ([(header::VARY, "accept")], document).into_response()
}

/// The page runs no script and loads nothing.
const POLICY: [(HeaderName, &str); 1] = [(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")];

/// Whether JSON is taken more gladly than HTML. Ranges like `*/*` favour neither.
fn prefers_json(headers: &HeaderMap) -> bool {
    let accept = Accept::of(headers);
    accept.weight("application/json") > accept.weight("text/html")
}

const STYLE: &str = "
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid #8884; padding: .35rem .5rem .35rem 0; vertical-align: top; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
.held { color: #888; margin-top: 0; }
";

fn page(state: &TableState) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "datalake" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "datalake" }
                p.held { (held(state)) }
                h2 { "Queries" }
                table {
                    @for example in EXAMPLES {
                        tr {
                            td { a href=(example.href) { code { (example.href) } } }
                            td { (example.title) }
                        }
                    }
                }
                p {
                    "Ages are completed calendar years on the day " code { "on" } ", today (UTC) if left out. Without a value, "
                    code { "min_age" } " and " code { "max_age" } " ask for the youngest and the oldest. A run is started by "
                    code { "POST /data" } "."
                }
            }
        }
    }
}

fn held(state: &TableState) -> String {
    match &state.held {
        Held::Unknown => "The table has not been read yet.".to_owned(),
        Held::NoTable => "There is no table yet: no run has succeeded so far.".to_owned(),
        Held::Snapshot(snapshot) => {
            let version = snapshot.version();
            let (number, users, rejects) = (version.number(), snapshot.len(), snapshot.refusals().len());
            format!(
                "Version {number} of {} · {users} users · {rejects} sources refused",
                version.committed_at()
            )
        }
    }
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
