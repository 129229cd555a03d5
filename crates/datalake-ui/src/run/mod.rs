//! The page of one run: its state, report, changes and log.

mod issues;
mod model;
mod report;
mod view;

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::run::{RunId, RunReport};
use datalake_table::memory::{difference::Difference, snapshot::Snapshot};
use tokio::time::Instant;

use crate::{
    components::run,
    diff::{columns::OtherColumns, model::Changes},
    page::{context::PageContext, html_page::HtmlPage, layout::View},
    run::model::{RunChanges, RunPage},
};
use datalake_api::{
    limits::{requests::StoreReadPermit, scan_pool::ScanPool},
    problem::Problem,
    request::{parameters::NoParameters, path::PathParameter},
    routes::run_redaction,
    snapshots::{error::VersionError, versions::Versions, watch::TableState},
};
use datalake_runs::runs::Runs;

/// The maximum number of changed rows on this page. The comparison of versions shows more.
const CHANGES_MAX: usize = 20;

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
    let recorded = match &run.report {
        Some(report) => table_by_deadline(&versions, report, deadline).await,
        None => None,
    };
    let run = run_redaction::for_caller(run, context.caller);
    let title = run::title(&run, context.now);
    let page = RunPage {
        run: &run,
        dataset: &context.dataset,
        title: &title,
        changes: &changes,
        recorded: recorded.as_deref(),
        latest: match &context.lake.table.state {
            TableState::Loaded(latest) => Some(latest),
            TableState::Missing | TableState::Loading => None,
        },
        succeeded: model::succeeded_after(&run, &context.lake.runs),
        lake: context.known_lake(),
        permission: context.run_permission,
        origin: &context.origin,
        now: context.now,
    };
    let frame = context.frame(View::Run, &title);
    Ok(HtmlPage(frame.page(&view::markup(&page))).into_response())
}

/// The version at the end of a run that rejected sources: it records their details. None if it is not available in time.
async fn table_by_deadline(versions: &Versions, report: &RunReport, deadline: Instant) -> Option<Arc<Snapshot>> {
    let version = report
        .version
        .filter(|_| !report.rejects.is_empty() && report.reject_details.is_empty())?;
    tokio::time::timeout_at(deadline, versions.at(version)).await.ok()?.ok()
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
    if let Some(columns) = OtherColumns::between(&before, &after) {
        return Ok(RunChanges::OtherColumns { since, until, columns });
    }
    let changes = Changes::first_of(
        Difference::between(&before, &after),
        Arc::clone(after.dataset()),
        CHANGES_MAX,
        scan_pool,
    )
    .await?;
    Ok(RunChanges::Between { since, until, changes })
}

/// The rest of the page does not need the versions, so a failure to read them is not an error of the page.
fn unavailable(error: &VersionError) -> RunChanges {
    match error {
        VersionError::Gone | VersionError::BeforeFirst | VersionError::NotYet { .. } | VersionError::NoTable => RunChanges::Expired,
        VersionError::Unknown | VersionError::TooBusy | VersionError::StoreUnavailable | VersionError::Damaged => RunChanges::Loading,
    }
}
