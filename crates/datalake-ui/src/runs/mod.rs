//! The runs page: runs however they were triggered, page by page.

mod model;
mod view;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};

use crate::{
    components::run,
    page::{api_address::ApiAddress, context::PageContext, html_page::HtmlPage, layout::View},
    runs::{
        model::{RunsPage, RunsRequest},
        view::RunsView,
    },
};
use datalake_api::{problem::Problem, routes::run_redaction};
use datalake_runs::runs::{RUNS_MAX, Runs};

/// The latest runs, or those after one of them.
pub(crate) async fn show(context: PageContext, request: RunsRequest, State(history): State<Runs>) -> Result<Response, Problem> {
    // One run more than the page shows reveals whether there is a next page.
    let count = if request.after.is_some() { RUNS_MAX } else { request.limit + 1 };
    let (runs, completeness) = history.newest_by(count, context.deadline()).await;
    let runs: Vec<_> = runs.into_iter().map(|run| run_redaction::for_caller(run, context.caller)).collect();
    let page = RunsPage::of(&runs, &request).ok_or(Problem::NoSuchRun)?;
    // The API has no parameter `after`.
    let api = ApiAddress::new(format!("/runs?limit={}", page.before + request.limit));
    let frame = context.frame(View::Runs, "Runs").api(api);
    let start_button = run::start_button(context.run_permission, &context.origin);
    let view = RunsView {
        page,
        completeness,
        limit: request.limit,
        start_button: &start_button,
        next: history.next_run().await,
        now: context.now,
    };
    Ok(HtmlPage(frame.page(&view.markup())).into_response())
}
