//! A progress bar for each run that a server starts as a child process, on the server's terminal.

use std::{collections::BTreeSet, convert::Infallible};

use datalake_core::{
    progress::RunProgress,
    run::{RunId, short_id},
};
use datalake_runs::{launcher::RunLauncher, process::ProcessLauncher};
use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::watch;

use super::Bar;
use crate::logging;

/// Shows the active runs of the launcher while `serving` runs.
pub(crate) async fn show_during<T>(launcher: &ProcessLauncher, serving: impl Future<Output = T>) -> T {
    if !logging::is_terminal() {
        return serving.await;
    }
    // The end of `serving` drops the bars, which removes them from the terminal.
    tokio::select! {
        served = serving => served,
        never = follow(launcher) => match never {},
    }
}

async fn follow(launcher: &ProcessLauncher) -> Infallible {
    let mut changes = launcher.changes();
    let mut bars = FuturesUnordered::new();
    let mut shown = BTreeSet::new();
    loop {
        for run in launcher.runs().await {
            if let Some(progress) = launcher.progress(&run.run_id)
                && shown.insert(run.run_id.clone())
            {
                bars.push(show(run.run_id, progress));
            }
        }
        tokio::select! {
            // This cannot fail: the launcher owns the sender.
            _ = changes.changed() => {}
            Some(ended) = bars.next() => drop(shown.remove(&ended)),
        }
    }
}

/// Shows a run until it ends.
async fn show(run_id: RunId, mut progress: watch::Receiver<Option<RunProgress>>) -> RunId {
    let run = format!("run {} ", short_id(run_id.as_str()));
    let bar = Bar::waiting(&format!("{run}starting"));
    let phases = bar.phases(&run);
    loop {
        let last = *progress.borrow_and_update();
        if let Some(last) = last {
            phases.show(last);
        }
        // The channel is closed when the run has ended.
        if progress.changed().await.is_err() {
            return run_id;
        }
    }
}
