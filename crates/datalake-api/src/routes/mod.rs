//! The routes: each handler extracts, calls and encodes. What goes wrong is a [`crate::problem::Problem`].

pub(crate) mod changes;
mod column_parameters;
mod data;
mod docs;
mod events;
pub(crate) mod explain;
pub(crate) mod health;
pub(crate) mod history;
mod index;
mod openapi;
mod options;
mod parameters;
pub(crate) mod rejects;
mod rows;
pub(crate) mod runs;
mod start_body;
mod stats;
mod stored_row;
mod suffixed;
mod unknown;
pub(crate) mod versions;

use axum::{
    Router,
    http::{Method, Uri},
    routing::get,
};
use bytes::Bytes;
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::unknown::KnownPaths;
use crate::{extract::NoParameters, pages, state::ApiState};

/// Where the description is, which is not part of itself.
const OPENAPI: &str = "/openapi.json";

/// Every route, and the document that describes them.
pub(crate) fn router() -> Router<ApiState> {
    let (router, mut document) = described().split_for_parts();
    suffixed::describe(&mut document);
    openapi::add_rules_of_the_server(&mut document);
    openapi::share_parameters(&mut document);
    let described = document.paths.paths.keys().cloned();
    let others = [OPENAPI].into_iter().chain(docs::PATHS).chain(pages::paths());
    let known: KnownPaths = described.chain(others.map(str::to_owned)).collect();
    let text = document.to_pretty_json().expect("the document holds texts and numbers only");
    let text = Bytes::from(text);
    let api = router
        .merge(suffixed::router())
        .route(OPENAPI, get(async move |_: NoParameters| openapi::show(text.clone())));
    api.merge(docs::router())
        .merge(pages::router())
        .fallback(async move |method: Method, uri: Uri| known.answer(&method, &uri))
        .method_not_allowed_fallback(options::answer)
}

fn described() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(base())
        .routes(routes!(index::show))
        .routes(routes!(rows::list_rows))
        .routes(routes!(data::show_row))
        .routes(routes!(data::show_image))
        .routes(routes!(history::show))
        .routes(routes!(explain::show))
        .routes(routes!(stats::show))
        .routes(routes!(rejects::list))
        .routes(routes!(versions::list))
        .routes(routes!(changes::list))
        .routes(routes!(runs::start_run))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::show_run, runs::stop_run))
        .routes(routes!(events::follow_run))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

fn base() -> Document {
    openapi::Description::openapi()
}
