//! The page of one run: its state, report, changes and log.

mod model;
mod report;
mod view;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::report::{RunId, RunReport};
use datalake_table::memory::difference::Difference;
use tokio::time::Instant;

use crate::{
    components::run,
    diff::model::Changes,
    page::{context::PageContext, html_page::HtmlPage, layout::View},
    run::model::RunChanges,
};
use datalake_api::{
    limits::{requests::StoreReadPermit, scan_pool::ScanPool},
    problem::Problem,
    request::{parameters::NoParameters, path::PathParameter},
    routes::run_redaction,
    snapshots::{error::VersionError, versions::Versions},
};
use datalake_runs::runs::Runs;

/// The maximum number of changed rows on this page. The comparison of versions shows more.
const CHANGES_MAX: usize = 30;

/// The page of a run.
pub(crate) async fn show(
    context: PageContext,
    PathParameter(run_id): PathParameter,
    _: NoParameters,
    _: StoreReadPermit,
    State(runs): State<Runs>,
    State(versions): State<Versions>,
    State(scan_pool): State<ScanPool>,
) -> Result<Response, Problem> {
    let run_id = RunId::parse(&run_id).map_err(|_| Problem::NoSuchRun)?;
    let deadline = context.deadline();
    let run = match tokio::time::timeout_at(deadline, runs.find(&run_id)).await {
        Ok(found) => found.map_err(|_| Problem::StoreUnavailable)?.ok_or(Problem::NoSuchRun)?,
        // After a timeout, the run may still be one of those in memory.
        Err(_) => { context.lake.runs.iter().find(|run| run.run_id == run_id).cloned() }.ok_or(Problem::StoreUnavailable)?,
    };
    let changes = match &run.report {
        Some(report) => changes_by_deadline(&versions, &scan_pool, report, deadline).await?,
        None => RunChanges::None,
    };
    let run = run_redaction::for_caller(run, context.caller);
    let title = format!("Run {}", run.run_id);
    let frame = context.frame(View::Run, &title);
    let stop_button = run::stop_button(&run, context.run_permission, &context.origin);
    let main = view::markup(&run, &changes, &stop_button, context.now);
    Ok(HtmlPage(frame.page(&main)).into_response())
}

/// Versions that have to be read from the store may take longer than a page waits. The read continues, so that a later request finds them.
async fn changes_by_deadline(
    versions: &Versions,
    scan_pool: &ScanPool,
    report: &RunReport,
    deadline: Instant,
) -> Result<RunChanges, Problem> {
    match tokio::time::timeout_at(deadline, changes(versions, scan_pool, report)).await {
        Ok(changes) => changes,
        Err(_) => Ok(RunChanges::Loading),
    }
}

async fn changes(versions: &Versions, scan_pool: &ScanPool, report: &RunReport) -> Result<RunChanges, Problem> {
    let Some(until) = report.version.filter(|_| report.committed == Some(true)) else {
        return Ok(RunChanges::None);
    };
    let after = match versions.at(until).await {
        Ok(after) => after,
        Err(error) => return Ok(unavailable(&error)),
    };
    // A rebuilt table starts at version 0 again, so the version may belong to another run.
    if after.version().run_id() != Some(&report.run_id) {
        return Ok(RunChanges::Expired);
    }
    let Some(since) = until.checked_sub(1) else {
        return Ok(RunChanges::FirstVersion { rows: after.len() });
    };
    let before = match versions.at(since).await {
        Ok(before) => before,
        Err(error) => return Ok(unavailable(&error)),
    };
    let changes = Changes::first_of(Difference::between(&before, &after), CHANGES_MAX, scan_pool).await?;
    Ok(RunChanges::Between { since, until, changes })
}

/// The rest of the page does not need the versions, so a failure to read them is not an error of the page.
fn unavailable(error: &VersionError) -> RunChanges {
    match error {
        VersionError::Gone | VersionError::BeforeFirst | VersionError::NotYet { .. } | VersionError::NoTable => RunChanges::Expired,
        VersionError::Unknown | VersionError::TooBusy | VersionError::StoreUnavailable | VersionError::Damaged => RunChanges::Loading,
    }
}
