//! The attempts of a run: each prepares a version from the newest one and commits it, until one has finished.

use std::time::Duration;

use datalake_store::simulation::{self, Bug};
use datalake_table::{
    delta::{commit::CommitDetails, version::Version},
    error::CommitError,
};

use crate::{
    error::RunError,
    finish,
    lost_objects::{self, Finding},
    options::cancellable,
    prepare::{self, Prepared},
    run_state::{RunContext, RunState},
};

/// Attempts before giving up. Another attempt follows if another run committed first, if the process was paused, or if images or derived objects were
/// lost.
const COMMIT_ATTEMPTS_MAX: u32 = 8;

/// The longest pause before the n-th new attempt, divided by n: it separates runs that lose to each other.
const CONTENTION_DELAY_MAX: Duration = Duration::from_millis(250);

/// How an attempt ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Finished,
    StartOver,
}

/// Executes the run, and determines whether it committed.
pub(crate) async fn execute(context: &RunContext<'_>, state: &mut RunState<'_>) -> Result<(), RunError> {
    let result = try_until_finished(context, state).await;
    state.add_earlier_changes();
    resolve_unknown_commits(context, state).await;
    result
}

async fn try_until_finished(context: &RunContext<'_>, state: &mut RunState<'_>) -> Result<(), RunError> {
    for number in 1..=COMMIT_ATTEMPTS_MAX {
        if attempt(context, state, number).await? == Attempt::Finished {
            return Ok(());
        }
    }
    Err(RunError::Contended {
        attempts: COMMIT_ATTEMPTS_MAX,
    })
}

async fn attempt(context: &RunContext<'_>, state: &mut RunState<'_>, number: u32) -> Result<Attempt, RunError> {
    let cancel = &context.options.cancel;
    let prepared = match cancellable(cancel, prepare::prepare(context, state)).await {
        Ok(prepared) => prepared,
        Err(error) => return cancellable(cancel, start_over_or_fail(context, state, error)).await,
    };
    let (committed, counts) = match prepared {
        Prepared::Unchanged { base, counts } => (Some(base), counts),
        Prepared::Changed {
            base,
            staged,
            rejects,
            counts,
        } => {
            let details = CommitDetails {
                run_id: context.options.run_id.clone(),
                mode: context.options.mode,
                counts: counts.clone(),
                committed_at: (context.options.clock)(),
            };
            let committed = context.table.commit(base.as_ref(), staged, &rejects, &details).await;
            (check_commit(context, state, committed, number).await?, counts)
        }
    };
    let Some(version) = committed else { return Ok(Attempt::StartOver) };
    state.report.version = Some(version.number());
    state.report.counts = counts;
    let lost_images = match finish::finish(context, state, &version).await {
        Ok(lost_images) => lost_images,
        Err(error) => {
            state.base = Some(version);
            let attempt = start_over_or_fail(context, state, error).await?;
            state.set_aside_changes();
            return Ok(attempt);
        }
    };
    if lost_images.is_empty() || simulation::has(Bug::LostImagesAreIgnored) {
        return Ok(Attempt::Finished);
    }
    tracing::warn!(
        users = lost_images.len(),
        "images were replaced before they were copied; reading them again"
    );
    state.set_aside_changes();
    Ok(Attempt::StartOver)
}

/// The version that was committed; none if the run has to start over.
async fn check_commit(
    context: &RunContext<'_>,
    state: &mut RunState<'_>,
    committed: Result<Version, CommitError>,
    number: u32,
) -> Result<Option<Version>, RunError> {
    match committed {
        Ok(version) => {
            state.report.committed = Some(true);
            return Ok(Some(version));
        }
        // The base is stale, or this process was too slow to commit safely.
        Err(CommitError::Conflict { .. } | CommitError::Stale { .. }) => {}
        Err(CommitError::Unknown { attempt, source }) => {
            tracing::warn!(table.version = attempt.number, "commit outcome unknown; reloading table");
            if !simulation::has(Bug::UnknownCommitIsDenied) {
                state.unknown_commits.push(attempt);
            }
            if let Some(error) = source {
                return Err((*error).into());
            }
        }
        Err(CommitError::Table(error)) => return Err(error.into()),
    }
    pause_before_retry(context, number).await?;
    Ok(None)
}

/// Lets the other run finish, so that two runs do not conflict again and again.
async fn pause_before_retry(context: &RunContext<'_>, number: u32) -> Result<(), RunError> {
    let pause = async {
        tokio::time::sleep(CONTENTION_DELAY_MAX.mul_f64((context.options.jitter)().clamp(0.0, 1.0)) * number).await;
        Ok(())
    };
    cancellable(&context.options.cancel, pause).await
}

/// Starts over if the failure is that the version that was read is superseded, or that derived objects are lost: the next attempt reads the newest
/// version without the lost objects. Otherwise returns the failure.
async fn start_over_or_fail(context: &RunContext<'_>, state: &mut RunState<'_>, failure: RunError) -> Result<Attempt, RunError> {
    let Some(base) = &state.base else { return Err(failure) };
    let found = lost_objects::find_lost(&context.table, base, &failure, context.options.recheck_after).await?;
    let lost = match found {
        Finding::Nothing => return Err(failure),
        Finding::Superseded => return Ok(Attempt::StartOver),
        Finding::Lost(lost) => lost,
    };
    tracing::warn!(
        table.version = base.number(),
        data_files = lost.data_files.len(),
        rows = lost.row_count(),
        rejects_file = lost.rejects_file,
        "derived objects of the table are lost; replacing them from the sources"
    );
    state.lost = Some((base.digest(), lost));
    Ok(Attempt::StartOver)
}

/// Reads the log again for each commit with an unknown outcome, until one is found.
async fn resolve_unknown_commits(context: &RunContext<'_>, state: &mut RunState<'_>) {
    let report = &mut state.report;
    for attempt in &state.unknown_commits {
        if report.committed == Some(true) {
            return;
        }
        // If this fails, the outcome stays unknown. The run itself has failed for the same reason.
        let outcome = context.table.is_committed(attempt).await.unwrap_or(None);
        if outcome == Some(true) {
            report.version = report.version.or(Some(attempt.number));
        }
        report.committed = match (report.committed, outcome) {
            (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        };
    }
}
