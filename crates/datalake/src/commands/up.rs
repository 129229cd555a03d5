//! `datalake up`

use std::{sync::Arc, time::Duration};

use datalake_core::report::{RunId, RunOutcome};
use datalake_processor::options::Lake;
use datalake_runs::{
    launcher::{LaunchError, NextRun, RunLauncher, RunRequest},
    process::ProcessLauncher,
    run::{RunParameters, RunState, Trigger},
};
use datalake_server::serve::Listeners;
use tokio_util::sync::CancellationToken;

use super::serve::{self, Admission};
use crate::{args::UpArgs, clock, schedule::Schedule, signals};

/// Serves the lake and runs the processor: once now, then on the schedule, until a signal comes.
pub(crate) async fn up(args: UpArgs, log: Option<&str>) -> anyhow::Result<u8> {
    let admission = serve::admission(&args.access, &args.clients)?;
    let shutdown = signals::cancelled_by_signals()?;
    let listeners = serve::listen(&args.listen, &args.clients).await?;
    let lake = super::open(&args.lake).await?;
    let launcher = serve::process_launcher(&args.lake, args.policy, log)?;
    serve_and_run(listeners, lake, launcher, admission, &args.schedule, shutdown).await
}

/// What `up` and `demo` have in common.
pub(crate) async fn serve_and_run(
    listeners: Listeners,
    lake: Lake,
    launcher: ProcessLauncher,
    admission: Admission,
    schedule: &Schedule,
    shutdown: CancellationToken,
) -> anyhow::Result<u8> {
    let runs = run_on_schedule(&launcher, schedule, shutdown.clone());
    let answer = serve::answer(listeners, lake, Arc::new(launcher.clone()), admission, shutdown.clone());
    let ((), ()) = tokio::join!(runs, answer);
    launcher.shut_down().await;
    Ok(0)
}

/// Every run goes through the launcher, which counts the active ones and joins a scheduled run with one that is active.
async fn run_on_schedule(launcher: &ProcessLauncher, schedule: &Schedule, shutdown: CancellationToken) {
    let mut failures = 0;
    tell(launcher, schedule);
    loop {
        let request = RunRequest::new(None, RunParameters::default(), Trigger::Schedule);
        // Whoever asks while this one is under way.
        launcher.set_next_run(next_run(schedule.delay_after(0, clock::now())));
        let has_failed = match launcher.launch(request).await {
            Ok(launched) => {
                let run_id = launched.run.run_id;
                tracing::info!(run.id = %run_id, started = launched.started, "the scheduled run");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    outcome = end_of(launcher, &run_id) => outcome == Some(RunOutcome::Failed),
                }
            }
            Err(LaunchError::ShuttingDown) => return,
            Err(error) => {
                tracing::error!(error = %error, "the scheduled run could not be started");
                true
            }
        };
        failures = if has_failed { failures + 1 } else { 0 };
        let Some(delay) = schedule.delay_after(failures, clock::now()) else {
            launcher.set_next_run(next_run(None));
            tracing::warn!("the schedule has no further time; runs start by POST /data only");
            return;
        };
        if has_failed {
            tracing::warn!(
                failures,
                delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                "the scheduled run is tried again"
            );
        }
        launcher.set_next_run(next_run(Some(delay)));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// Lets those who look at the data's age know which runs were due.
fn tell(launcher: &ProcessLauncher, schedule: &Schedule) {
    let schedule = schedule.clone();
    launcher.set_schedule(Box::new(move |at| schedule.previous_scheduled(at)));
}

/// When a run begins after this delay; none stands for a schedule that has no further time.
fn next_run(delay: Option<Duration>) -> NextRun {
    match delay.map(|delay| clock::now().checked_add(delay)) {
        None => NextRun::Never,
        Some(at) => at.map_or(NextRun::Unknown, NextRun::At),
    }
}

/// How a run ended, once it has; none where the launcher does not know it any more.
async fn end_of(launcher: &ProcessLauncher, run_id: &RunId) -> Option<RunOutcome> {
    let mut changes = launcher.changes();
    loop {
        // What changes from here on is seen by the next round.
        changes.mark_unchanged();
        match launcher.find(run_id).await?.state {
            RunState::Ended(outcome) => return Some(outcome),
            RunState::Pending | RunState::Running => changes.changed().await.ok()?,
        }
    }
}
