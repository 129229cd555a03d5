//! The web UI: HTML pages that show what the API returns. The server renders them completely; they work without JavaScript.
//!
//! This crate owns the pages (one folder for each view), their components and their assets. A handler extracts a
//! [`page::context::PageContext`] and the data of its view; a pure function renders them; `page::layout::Frame` adds the rest of the page.
//! It must never decide domain rules, read the store except through the API's types, or use inline styles and scripts, which the
//! content security policy blocks.

mod assets;
mod components;
mod diff;
mod examples;
pub mod overview;
pub mod page;
mod reference;
mod rejects;
mod row;
mod rows;
mod run;
mod runs;
mod versions;

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};

use datalake_api::state::ApiState;

use crate::page::{links, sign_in, theme};

fn routes() -> [(&'static str, MethodRouter<ApiState>); 16] {
    [
        (links::CHANGES, get(diff::show)),
        (links::EXAMPLES, get(examples::show)),
        (links::LIVE, get(page::live::wait)),
        (links::ROWS, get(rows::show)),
        ("/page/users/{user_id}", get(row::show)),
        ("/page/assets/{name}", get(assets::show)),
        (links::PROBLEM_REFERENCE, get(reference::problems)),
        (links::REJECT_REFERENCE, get(reference::rejects)),
        (links::REJECTS, get(rejects::show)),
        (links::RUNS_PAGE, get(runs::show)),
        ("/page/runs/{run_id}", get(run::show)),
        (links::SIGN_IN, get(sign_in::show).post(sign_in::submit)),
        (links::SIGN_OUT, post(sign_in::sign_out)),
        (links::THEME, post(theme::choose)),
        (links::VERSIONS, get(versions::show)),
        (links::FAVICON, get(assets::show_icon)),
    ]
}

/// The routes of all pages and their assets.
pub fn router() -> Router<ApiState> {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, handler)| router.route(path, handler))
}

/// The path patterns of all pages and assets, for suggestions in "not found" problems. The paths of events and of forms are not typed.
pub fn paths() -> impl Iterator<Item = &'static str> {
    let is_typed = |path: &&str| ![links::LIVE, links::SIGN_OUT, links::THEME].contains(path);
    routes().into_iter().map(|(path, _)| path).filter(is_typed)
}

/// Whether a path needs no token even if reads do: the sign-in page with its theme, style, script and icon, which contain no data of the lake.
pub fn is_public(path: &str) -> bool {
    links::is_sign_in(path) || path == links::THEME || path == links::FAVICON || path.starts_with(links::ASSETS)
}
