//! The runs page: all runs, regardless of trigger, page by page.

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
pub(crate) async fn show(context: PageContext, request: RunsRequest, State(runs): State<Runs>) -> Result<Response, Problem> {
    // One run more than the page shows reveals whether there is a next page.
    let is_first = request.after.is_none() && request.state.is_none();
    let count = if is_first { request.limit + 1 } else { RUNS_MAX };
    let (newest, completeness) = runs.newest_by(count, context.deadline()).await;
    let newest: Vec<_> = newest
        .into_iter()
        .filter(|run| request.state.is_none_or(|filter| filter.matches(run.state)))
        .map(|run| run_redaction::for_caller(run, context.caller))
        .collect();
    let page = RunsPage::of(&newest, &request).ok_or(Problem::NoSuchRun)?;
    // The API has no parameters `after` and `state`.
    let api = ApiAddress::new(format!("/runs?limit={}", page.before + request.limit));
    let frame = context.frame(View::Runs, "Runs").api(api);
    let start_button = run::start_button(context.run_permission, &context.origin);
    let view = RunsView {
        dataset: &context.dataset,
        page,
        completeness,
        limit: request.limit,
        state: request.state,
        start_button: &start_button,
        next: runs.next_run().await,
        now: context.now,
    };
    Ok(HtmlPage(frame.page(&view.markup())).into_response())
}
