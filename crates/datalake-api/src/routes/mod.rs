//! The routes. Each handler extracts, calls and encodes; every error is a [`crate::problem::Problem`].

pub mod changes;
mod changes_csv;
mod events;
pub mod examples;
pub mod explain;
mod format_suffix;
pub mod health;
pub mod history;
pub mod metrics;
mod openapi;
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

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    routing::get,
};
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    request::parameters::NoParameters,
    routes::{openapi::dataset_document::Descriptions, unknown_path::KnownPaths},
    snapshots::watch::TableWatch,
    state::ApiState,
};

/// The path of the OpenAPI description, which does not describe itself.
const OPENAPI: &str = "/openapi.json";

/// The routes of the API with their OpenAPI description, and the routes of `pages`, which it does not describe. `index` is the route `/`.
/// `page_paths` are suggested for unknown paths.
pub fn router(index: OpenApiRouter<ApiState>, pages: Router<ApiState>, page_paths: impl Iterator<Item = &'static str>) -> Router<ApiState> {
    let (router, mut document) = described(index).split_for_parts();
    format_suffix::describe(&mut document);
    openapi::add_common_responses(&mut document);
    let described = document.paths.paths.keys().cloned();
    let others = [OPENAPI].into_iter().chain(swagger_ui::PATHS).chain(page_paths);
    let known: KnownPaths = described.chain(others.map(str::to_owned)).collect();
    let descriptions = Arc::new(Descriptions::new(document));
    let describe = async move |_: NoParameters, State(table): State<TableWatch>| openapi::show(descriptions.of(&table.dataset()));
    let api = router.merge(format_suffix::router()).route(OPENAPI, get(describe));
    api.merge(swagger_ui::router())
        .merge(pages)
        .fallback(async move |request: Request| known.respond(&request))
        .method_not_allowed_fallback(unsupported_method::respond)
}

fn described(index: OpenApiRouter<ApiState>) -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(base())
        .merge(index)
        .routes(routes!(users::list_rows))
        .routes(routes!(user::show_row))
        .routes(routes!(user::show_file))
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
