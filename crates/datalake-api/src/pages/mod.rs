//! Pages for people: what the API answers, to look at. Written by the server, complete without a script.
//!
//! A view is a module: a thin handler takes a [`visit::Visit`] and what it shows, and hands plain data to a pure function that makes the
//! [`maud::Markup`] inside `<main>`; [`layout::Frame`] puts all else around it. A handler's [`crate::problem::Problem`] becomes a page by
//! itself wherever the path is `/page/…` ([`failure`]), so that extractors of the API's own routes can be used as they are.
//!
//! No page carries a style or a script of its own: the policy forbids it. Nothing here decides what is true, and nothing here is part of
//! the description of the API.

mod ages;
mod assets;
mod changes;
mod chart;
mod difference;
mod examples;
mod excerpt;
pub(crate) mod failure;
mod layout;
mod live;
mod log;
pub(crate) mod overview;
mod parts;
mod people;
mod people_form;
mod people_refused;
mod people_rows;
mod person;
mod person_history;
mod policy;
mod query;
mod reasons;
mod rejects;
mod run;
mod runs;
mod sign_in;
mod versions;
pub(crate) mod visit;
mod warnings;

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};

use crate::state::ApiState;

fn routes() -> [(&'static str, MethodRouter<ApiState>); 12] {
    [
        ("/page/changes", get(changes::show)),
        ("/page/examples", get(examples::show)),
        ("/page/live", get(live::wait)),
        (people::PATH, get(people::show)),
        ("/page/people/{user_id}", get(person::show)),
        ("/page/assets/{name}", get(assets::show)),
        ("/page/rejects", get(rejects::show)),
        ("/page/runs", get(runs::show)),
        ("/page/runs/{run_id}", get(run::show)),
        (sign_in::PATH, get(sign_in::show).post(sign_in::submit)),
        (sign_in::SIGN_OUT, post(sign_in::sign_out)),
        ("/page/versions", get(versions::show)),
    ]
}

/// The pages and their files.
pub(crate) fn router() -> Router<ApiState> {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (path, show)| router.route(path, show))
}

/// Where the pages and their files are.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    routes().into_iter().map(|(path, _)| path)
}

/// Whether the path is one that a client without the token needs for signing in, or out.
pub(crate) fn is_for_signing_in(path: &str) -> bool {
    sign_in::is_path(path)
}

/// Where the files of the pages lie, which hold nothing of the lake.
pub(crate) const ASSETS: &str = "/page/assets/";
