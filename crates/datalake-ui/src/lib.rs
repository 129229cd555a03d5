//! The web UI: HTML pages that show what the API responds. Written by the server, complete without a script.
//!
//! It owns pages, components and assets, one folder for each view: a thin handler takes a [`page::context::PageContext`] and what it shows, and hands
//! plain data to a pure function that writes the [`maud::Markup`] inside `<main>`; [`page::layout::Frame`] adds the rest. It never decides what
//! is true and never reads the store but through the API's types. No page has a style or a script of its own: the policy forbids it.

mod assets;
mod components;
mod diff;
mod examples;
pub mod overview;
pub mod page;
mod rejects;
mod run;
mod runs;
mod user;
mod users;
mod versions;

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};

use datalake_api::state::ApiState;

fn routes() -> [(&'static str, MethodRouter<ApiState>); 12] {
    [
        ("/page/changes", get(diff::show)),
        ("/page/examples", get(examples::show)),
        ("/page/live", get(page::live::wait)),
        (users::PATH, get(users::show)),
        ("/page/people/{user_id}", get(user::show)),
        ("/page/assets/{name}", get(assets::show)),
        ("/page/rejects", get(rejects::show)),
        ("/page/runs", get(runs::show)),
        ("/page/runs/{run_id}", get(run::show)),
        (page::sign_in::PATH, get(page::sign_in::show).post(page::sign_in::submit)),
        (page::sign_in::SIGN_OUT, post(page::sign_in::sign_out)),
        ("/page/versions", get(versions::show)),
    ]
}

/// The pages and their files.
pub fn router() -> Router<ApiState> {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, show)| router.route(path, show))
}

/// Where the pages and their files are.
pub fn paths() -> impl Iterator<Item = &'static str> {
    routes().into_iter().map(|(path, _)| path)
}

/// Whether a path is public although reads need the token: the sign-in page with its style and its script, which have no data of the lake.
pub fn is_public(path: &str) -> bool {
    page::sign_in::is_path(path) || path.starts_with(ASSETS)
}

/// The path of the assets.
pub const ASSETS: &str = "/page/assets/";
