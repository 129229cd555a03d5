//! The route `/`: the overview page for browsers, an index for clients that prefer JSON.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use datalake_api::{
    request::parameters::NoParameters,
    routes::examples::{self, Example},
    snapshots::watch::TableWatch,
    state::ApiState,
};
use datalake_http::accept::Accept;
use datalake_ui::overview::Overview;

/// The index as JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Index)]
struct IndexDocument {
    /// `datalake`
    name: &'static str,
    /// Queries to start with.
    examples: Vec<Example>,
}

/// The route `/`, for the description of the API.
pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// The start page, or an index as JSON.
///
/// Browsers get the web UI. Clients that prefer JSON (`Accept: application/json`) get an index with examples of requests.
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
pub(crate) async fn show(overview: Overview, _: NoParameters, State(table): State<TableWatch>, headers: HeaderMap) -> Response {
    let document = if prefers_json(&headers) {
        let table = table.status();
        let index = IndexDocument {
            name: "datalake",
            examples: examples::basic(&table).into_iter().chain(examples::further(&table)).collect(),
        };
        Json(index).into_response()
    } else {
        overview.into_response()
    };
    // A cache must not send one representation to clients that prefer the other.
    ([(header::VARY, "accept")], document).into_response()
}

/// Whether the client prefers JSON to HTML. Ranges such as `*/*` prefer neither.
fn prefers_json(headers: &HeaderMap) -> bool {
    let accept = Accept::from_headers(headers);
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
    fn json_is_preferred_by_weight() {
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
