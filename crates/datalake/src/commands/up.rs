//! `datalake up`

use std::{sync::Arc, time::Duration};

use datalake_api::lake_label::LakeLabel;
use datalake_core::{
    count::milliseconds,
    keys,
    run::{RunId, RunOutcome},
};
use datalake_processor::options::Lake;
use datalake_runs::{
    launcher::{LaunchError, NextRun, RunLauncher, RunRequest},
    process::ProcessLauncher,
    run::{RunParameters, RunState, Trigger},
};
use datalake_server::serve::Listeners;
use datalake_store::{bucket::Bucket, error::StoreError, lake_url::LakeUrl};
use tokio_util::sync::CancellationToken;

use super::serve::{self, Admission};
use crate::{args::UpArgs, clock, lake_label::lake_label, progress::server_bars, schedule::Schedule, signals};

/// Serves the lake, and runs the processor now and on the schedule, until a signal arrives.
pub(crate) async fn up(args: UpArgs, log: Option<&str>) -> anyhow::Result<u8> {
    let admission = serve::admission(&args.access, &args.clients)?;
    let shutdown = signals::cancelled_by_signals()?;
    let listeners = serve::listen(&args.listen, &args.clients).await?;
    let label = lake_label(&args.lake, &args.page);
    let lake = super::open(&args.lake).await?;
    if let LakeUrl::Folder(_) = args.lake.lake {
        check_folder(lake.bucket.as_ref()).await?;
    }
    serve::announce(&listeners, &args.lake)?;
    let launcher = serve::process_launcher(&args.lake, &args.policy, log)?;
    serve_and_run(listeners, lake, label, launcher, admission, &args.schedule.schedule, shutdown).await
}

/// Fails if the folder of a lake does not exist. A bucket on a server may become reachable later.
async fn check_folder(bucket: &dyn Bucket) -> Result<(), StoreError> {
    match bucket.head(keys::OUTPUT).await {
        Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Serves the lake and runs the processor, for `up` and `demo`.
pub(crate) async fn serve_and_run(
    listeners: Listeners,
    lake: Lake,
    label: LakeLabel,
    launcher: ProcessLauncher,
    admission: Admission,
    schedule: &Schedule,
    shutdown: CancellationToken,
) -> anyhow::Result<u8> {
    let runs = run_on_schedule(&launcher, schedule, shutdown.clone());
    let serve = serve::serve_until(listeners, lake, label, Arc::new(launcher.clone()), admission, shutdown.clone());
    let served = async {
        let ((), ()) = tokio::join!(runs, serve);
        launcher.shut_down().await;
    };
    server_bars::show_during(&launcher, served).await;
    Ok(0)
}

/// Starts all runs through the launcher, which limits the active runs and joins a scheduled run with an active one.
async fn run_on_schedule(launcher: &ProcessLauncher, schedule: &Schedule, shutdown: CancellationToken) {
    let mut failures = 0;
    let past = schedule.clone();
    launcher.set_schedule(Box::new(move |at| past.previous_scheduled(at)));
    loop {
        let request = RunRequest::new(None, RunParameters::default(), Trigger::Schedule);
        // For requests during this run.
        launcher.set_next_run(next_run(schedule.delay_after(0, clock::now())));
        let has_failed = match launcher.launch(request).await {
            Ok(launched) => {
                let run_id = launched.run.run_id;
                if launched.started {
                    tracing::info!(run.id = %run_id, "scheduled run started");
                } else {
                    tracing::info!(run.id = %run_id, "scheduled run joined an active run");
                }
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    outcome = outcome_of(launcher, &run_id) => outcome == Some(RunOutcome::Failed),
                }
            }
            Err(LaunchError::ShuttingDown) => return,
            Err(error) => {
                tracing::error!(error = %error, "cannot start scheduled run");
                true
            }
        };
        failures = if has_failed { failures + 1 } else { 0 };
        let Some(delay) = schedule.delay_after(failures, clock::now()) else {
            launcher.set_next_run(next_run(None));
            tracing::warn!("the schedule has ended; only POST /data starts runs");
            return;
        };
        if has_failed {
            tracing::warn!(failures, delay_ms = milliseconds(delay), "retrying scheduled run");
        }
        launcher.set_next_run(next_run(Some(delay)));
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// The time of the next run after this delay; without a delay the schedule has ended.
fn next_run(delay: Option<Duration>) -> NextRun {
    match delay.map(|delay| clock::now().checked_add(delay)) {
        None => NextRun::Never,
        Some(at) => at.map_or(NextRun::Unknown, NextRun::At),
    }
}

/// Waits for the outcome of a run; none if the launcher no longer knows the run.
async fn outcome_of(launcher: &ProcessLauncher, run_id: &RunId) -> Option<RunOutcome> {
    let mut changes = launcher.changes();
    loop {
        // A change after this line ends the wait below.
        changes.mark_unchanged();
        match launcher.find(run_id).await?.state {
            RunState::Ended(outcome) => return Some(outcome),
            RunState::Pending | RunState::Running => changes.changed().await.ok()?,
        }
    }
}
