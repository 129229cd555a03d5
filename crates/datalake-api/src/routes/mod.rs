//! The routes. Each handler extracts, calls and encodes; every error is a [`crate::problem::Problem`].

pub mod changes;
mod changes_csv;
mod column_parameters;
mod events;
pub mod examples;
pub mod explain;
mod format_suffix;
pub mod health;
pub mod history;
pub mod metrics;
mod openapi;
mod openapi_schemas;
pub mod reject_reference;
pub mod rejects;
mod rejects_csv;
pub mod row_document;
pub mod run_document;
pub mod run_redaction;
pub mod runs;
mod start_body;
mod stats;
mod swagger_ui;
mod unknown_path;
mod unsupported_method;
mod user;
mod users;
pub mod versions;

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, Uri},
    routing::{any, get},
};
use bytes::Bytes;
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{request::parameters::NoParameters, routes::unknown_path::KnownPaths, state::ApiState};

/// The path of the OpenAPI description, which does not describe itself.
const OPENAPI: &str = "/openapi.json";

/// The routes of the API with their OpenAPI description, and the routes of `pages`, which it does not describe. `index` is the route `/`.
/// `page_paths` are suggested for unknown paths.
pub fn router(index: OpenApiRouter<ApiState>, pages: Router<ApiState>, page_paths: impl Iterator<Item = &'static str>) -> Router<ApiState> {
    let (router, mut document) = described(index).split_for_parts();
    format_suffix::describe(&mut document);
    openapi::add_common_responses(&mut document);
    openapi::share_parameters(&mut document);
    let described = document.paths.paths.keys().cloned();
    let others = [OPENAPI].into_iter().chain(swagger_ui::PATHS).chain(page_paths);
    let known: KnownPaths = described.chain(others.map(str::to_owned)).collect();
    let text = document.to_pretty_json().expect("the document contains only strings and numbers");
    let text = Bytes::from(text);
    let known_files = known.clone();
    let show_file = async move |State(state): State<ApiState>, request: Request| {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let unknown = || known_files.respond(&method, &uri);
        match *request.method() {
            Method::GET | Method::HEAD => user::show_file(request, &state).await.unwrap_or_else(unknown),
            _ => unknown(),
        }
    };
    let api = router
        .merge(format_suffix::router())
        // The names of files depend on the dataset. Routes with a fixed name take precedence.
        .route("/data/{user_id}/{file}", any(show_file))
        .route(OPENAPI, get(async move |_: NoParameters| openapi::show(text.clone())));
    api.merge(swagger_ui::router())
        .merge(pages)
        .fallback(async move |method: Method, uri: Uri| known.respond(&method, &uri))
        .method_not_allowed_fallback(unsupported_method::respond)
}

fn described(index: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(base())
        .merge(index)
        .routes(routes!(users::list_rows))
        .routes(routes!(user::show_row))
        .routes(routes!(user::show_image))
        .routes(routes!(history::show))
        .routes(routes!(explain::show))
        .routes(routes!(stats::show))
        .routes(routes!(rejects::list))
        .routes(routes!(rejects_csv::export))
        .routes(routes!(versions::list))
        .routes(routes!(changes::list))
        .routes(routes!(changes_csv::export))
        .routes(routes!(runs::start_run))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::show_run, runs::stop_run))
        .routes(routes!(events::follow_run))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
}

fn base() -> Document {
    openapi::Description::openapi()
}
