//! The runs of a lake: those of the launcher, merged with their reports. All other crates start, stop, find and list runs here.

use std::{
    cmp::Reverse,
    sync::{Arc, OnceLock},
    time::Duration,
};

use datalake_core::{progress::RunProgress, run::RunId};
use datalake_store::{bucket::Bucket, error::StoreError};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    idempotency::IdempotencyKey,
    launcher::{LaunchError, Launched, NextRun, RunLauncher, RunRequest},
    launcher_cache::LauncherCache,
    progress_cache::{ProgressCache, READ_PERIOD},
    report_cache::{REPORTS_MAX, ReportCache},
    run::{Run, RunParameters, RunState, Trigger},
};

/// The maximum number of runs in a response.
pub const RUNS_MAX: usize = REPORTS_MAX;

/// Runs that polling reads: two days of hourly ones. If none of them succeeded, the age of the table is enough for alerts.
pub const RUNS_POLLED: usize = 50;

/// How often reports are listed if the launcher shows no change. A run that another server or an operator started is only known from its report.
const POLL_PERIOD: Duration = Duration::from_secs(30);

/// The report of a run appears shortly after the launcher shows its end. One poll also covers many changes at once.
const POLL_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest stream of progress. A client reconnects before.
const FOLLOW_MAX: Duration = Duration::from_hours(1);

/// The runs of a lake. Cheap to clone; all clones share the caches.
#[derive(Clone, Debug)]
pub struct Runs {
    launcher: Arc<dyn RunLauncher>,
    launcher_cache: LauncherCache,
    reports: Arc<ReportCache>,
    progress: Arc<ProgressCache>,
    shutdown: Arc<OnceLock<CancellationToken>>,
}

/// Whether a list contains every run that the store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The store was read after the request.
    Complete,
    /// The store does not respond. The list has the cached reports and the launcher's runs.
    StoreUnavailable,
}

impl Runs {
    /// Reads nothing before the first request.
    pub fn new(bucket: Arc<dyn Bucket>, launcher: Arc<dyn RunLauncher>) -> Self {
        Self {
            launcher,
            launcher_cache: LauncherCache::default(),
            reports: Arc::new(ReportCache::new(Arc::clone(&bucket))),
            progress: Arc::new(ProgressCache::new(bucket)),
            shutdown: Arc::default(),
        }
    }

    /// Sets the token that ends [`Runs::wait_for_end`] and [`Runs::changes_of`], which would otherwise delay the server's shutdown. Later calls
    /// have no effect.
    pub fn set_shutdown(&self, shutdown: CancellationToken) {
        let _already_set = self.shutdown.set(shutdown);
    }

    /// Is cancelled when the server shuts down.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.get().cloned().unwrap_or_default()
    }

    /// The newest runs, at most `limit`, in descending order of time.
    pub async fn newest(&self, limit: usize) -> (Vec<Run>, Completeness) {
        let completeness = self.refresh(limit).await;
        let runs = self.merged(self.launcher.runs().await, limit);
        (runs, completeness)
    }

    /// The newest runs, at most `limit`, in descending order of time. Does not wait for the store after `deadline`, nor for a launcher that does
    /// not respond.
    pub async fn newest_by(&self, limit: usize, deadline: Instant) -> (Vec<Run>, Completeness) {
        let refreshed = tokio::time::timeout_at(deadline, self.refresh(limit)).await;
        (self.newest_cached(limit).await, refreshed.unwrap_or(Completeness::StoreUnavailable))
    }

    /// The newest runs without reading the store, which [`Runs::poll`] does. If the launcher does not respond, the list has the runs that
    /// it returned last.
    pub async fn newest_cached(&self, limit: usize) -> Vec<Run> {
        self.merged(self.launcher_cache.runs(&*self.launcher).await, limit)
    }

    /// Reads new reports and the progress of active runs periodically until `shutdown`, so that the caches have runs that other servers started.
    pub async fn poll(self, shutdown: CancellationToken) {
        tokio::join!(self.poll_reports(&shutdown), self.poll_progress(&shutdown));
    }

    /// Reads the progress of active runs, unless the launcher receives it.
    async fn poll_progress(&self, shutdown: &CancellationToken) {
        let mut changes = self.launcher.changes();
        loop {
            changes.mark_unchanged();
            let read = async {
                let mut active = self.launcher.runs().await;
                active.retain(|run| run.state.is_active() && self.launcher.progress(&run.run_id).is_none());
                let active: Vec<RunId> = active.into_iter().map(|run| run.run_id).collect();
                self.progress.refresh(&active).await;
                match active.is_empty() && changes.changed().await.is_err() {
                    true => std::future::pending().await,
                    false => tokio::time::sleep(READ_PERIOD).await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = read => {}
            }
        }
    }

    async fn poll_reports(&self, shutdown: &CancellationToken) {
        let mut changes = self.launcher.changes();
        loop {
            changes.mark_unchanged();
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = self.newest(RUNS_POLLED) => {}
            }
            let pause = async {
                tokio::time::sleep(POLL_PAUSE_MIN).await;
                // If the launcher is gone, only the timeout ends the pause.
                let _ = tokio::time::timeout(POLL_PERIOD, async {
                    if changes.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                })
                .await;
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = pause => {}
            }
        }
    }

    /// Whether this server starts runs.
    pub fn starts_runs(&self) -> bool {
        self.launcher.starts_runs()
    }

    /// When the next scheduled run starts, if the launcher knows the schedule.
    pub async fn next_run(&self) -> NextRun {
        self.launcher.next_run().await
    }

    /// The last scheduled time that is not after `at`, if the launcher knows the schedule.
    pub async fn previous_scheduled(&self, at: Timestamp) -> Option<Timestamp> {
        self.launcher.previous_scheduled(at).await
    }

    /// Changes whenever the launcher's runs change.
    pub fn launcher_changes(&self) -> watch::Receiver<()> {
        self.launcher.changes()
    }

    /// Changes whenever a new report was read.
    pub fn reports_read(&self) -> watch::Receiver<()> {
        self.reports.changes()
    }

    /// The run with the ID; none if neither the launcher nor a report knows it.
    pub async fn find(&self, run_id: &RunId) -> Result<Option<Run>, Arc<StoreError>> {
        let found = match self.find_known(run_id).await {
            // Most requested runs have a report, so the launcher's search, which is more expensive, comes last.
            Ok(None) => Ok(self.launcher.find(run_id).await),
            Err(error) => self.launcher.find(run_id).await.map(Some).ok_or(error),
            found => found,
        };
        found.map(|run| run.map(|run| self.with_progress(run)))
    }

    /// Returns the run of an earlier request with the same key, else an active run that includes the request, else a new run.
    pub async fn start(&self, key: Option<&IdempotencyKey>, parameters: RunParameters, trigger: Trigger) -> Result<Launched, LaunchError> {
        let run_id = key.map(|key| self.launcher.run_id_of(key));
        // The request arrives before the store is read, so it may join a run that starts in the meantime.
        let request = RunRequest::new(run_id, parameters, trigger);
        if let Some(run) = self.find_by_key(&request).await? {
            return Ok(Launched { run, started: false });
        }
        if let Some(run_id) = &request.parameters.allow_mass_delete_of {
            self.check_blocked(run_id).await?;
        }
        let launched = self.launcher.launch(request).await?;
        if launched.started || launched.run.state.is_active() {
            return Ok(launched);
        }
        // The run of the key has ended, and its report has more than the launcher knows.
        let found = self.find_known(&launched.run.run_id).await.ok().flatten();
        Ok(Launched {
            run: found.unwrap_or(launched.run),
            started: false,
        })
    }

    /// Requests the end of an active run.
    pub async fn stop(&self, run_id: &RunId) -> Result<(), LaunchError> {
        self.launcher.stop(run_id).await
    }

    /// The ID of the run that a request with the key starts.
    pub fn run_id_of(&self, key: &IdempotencyKey) -> RunId {
        self.launcher.run_id_of(key)
    }

    /// Waits for the end of the run, and returns its last known state at the end, at `deadline` or at the server's shutdown.
    pub async fn wait_for_end(&self, mut run: Run, deadline: Instant) -> Run {
        let (mut changes, shutdown) = (self.launcher.changes(), self.shutdown());
        let end = async {
            while run.state.is_active() {
                // A change from here on starts another iteration.
                changes.mark_unchanged();
                if let Ok(Some(found)) = self.find(&run.run_id).await {
                    run = found;
                }
                if run.state.is_active() && changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = end => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = shutdown.cancelled() => {}
        }
        run
    }

    /// The run after each change, up to its end or the server's shutdown. Empty if the run has ended.
    pub fn changes_of(&self, run: Run) -> impl Stream<Item = Run> + Send + use<> {
        let mut changes = self.launcher.changes();
        // The first iteration does not wait: the run may have changed since the caller read it.
        changes.mark_changed();
        let later = stream::unfold((self.clone(), changes, run), async move |(runs, mut changes, last)| {
            while last.state.is_active() {
                changes.changed().await.ok()?;
                match runs.find(&last.run_id).await {
                    Ok(Some(found)) if found != last => return Some((found.clone(), (runs, changes, found))),
                    // A failed read is repeated at the next change.
                    Ok(_) | Err(_) => {}
                }
            }
            None
        });
        let shutdown = self.shutdown();
        later.take_until(shutdown.cancelled_owned())
    }

    /// The progress of an active run: the current one and each change, until the end of the run or the server's shutdown. Empty if there is
    /// none.
    pub fn progress_of(&self, run_id: &RunId) -> impl Stream<Item = RunProgress> + Send + use<> {
        let Some(mut receiver) = self.launcher.progress(run_id) else {
            return self.progress_in_the_lake(run_id).right_stream();
        };
        receiver.mark_changed();
        let changes = stream::unfold(receiver, async |mut receiver| {
            loop {
                receiver.changed().await.ok()?;
                let progress = *receiver.borrow_and_update();
                if let Some(progress) = progress {
                    return Some((progress, receiver));
                }
            }
        });
        changes.take_until(self.shutdown().cancelled_owned()).left_stream()
    }

    /// The progress of an active run from its object in the lake.
    fn progress_in_the_lake(&self, run_id: &RunId) -> impl Stream<Item = RunProgress> + Send + use<> {
        let (runs, run) = (self.clone(), Run::new(run_id.clone(), RunState::Running));
        let end = async move { drop(runs.wait_for_end(run, Instant::now() + FOLLOW_MAX).await) };
        self.progress.changes_of(run_id).take_until(Box::pin(end))
    }

    /// The run with the ID, from the launcher's list or the run's report.
    async fn find_known(&self, run_id: &RunId) -> Result<Option<Run>, Arc<StoreError>> {
        let launched = self.launcher.runs().await.into_iter().find(|run| run.run_id == *run_id);
        // The report of an active run is that of an earlier attempt.
        if let Some(run) = launched.as_ref().filter(|run| run.state.is_active()) {
            return Ok(Some(run.clone()));
        }
        match self.reports.read(run_id).await {
            Ok(reported) => Ok(merge(reported, launched)),
            Err(error) => merge(self.reports.get(run_id), launched).map(Some).ok_or(error),
        }
    }

    /// The run that the request's key started or joined.
    async fn find_by_key(&self, request: &RunRequest) -> Result<Option<Run>, LaunchError> {
        let Some(key) = &request.run_id else {
            return Ok(None);
        };
        let joined = self.launcher.joined(key);
        let run_id = joined.as_ref().map_or(key, |joined| &joined.run_id);
        let found = self.find_known(run_id).await.map_err(|error| LaunchError::StoreUnavailable {
            what: "this Idempotency-Key has already started a run",
            source: error.into(),
        })?;
        let differs = |run: &Run| match &joined {
            Some(joined) => joined.requested != request.parameters,
            None => run.differs_from(&request.parameters),
        };
        match found {
            Some(run) if differs(&run) => Err(LaunchError::KeyReused { run_id: run.run_id }),
            found => Ok(found),
        }
    }

    /// Checks that the mass-deletion guard blocked the run, so that its deletions can be permitted.
    async fn check_blocked(&self, run_id: &RunId) -> Result<(), LaunchError> {
        let found = self.find(run_id).await.map_err(|error| LaunchError::StoreUnavailable {
            what: "the run in allow_mass_delete_of was blocked",
            source: error.into(),
        })?;
        let nothing = |reason, is_active| {
            Err(LaunchError::NothingBlocked {
                run_id: run_id.clone(),
                reason,
                is_active,
            })
        };
        match found {
            None => nothing("the run does not exist; see /runs", false),
            Some(run) if run.state.is_active() => nothing("the run is active; retry after it has ended", true),
            Some(run) if run.report.as_deref().is_some_and(|report| report.blocked_deletions.is_some()) => Ok(()),
            Some(_) => nothing(
                "the mass-deletion guard did not block the run; name a run with state `blocked` whose error lists deletions",
                false,
            ),
        }
    }

    /// The run with the progress that its object in the lake has, unless the launcher knows it.
    fn with_progress(&self, run: Run) -> Run {
        let progress = run.progress.or_else(|| self.progress.get(&run.run_id));
        Run {
            progress: progress.filter(|_| run.state.is_active()),
            ..run
        }
    }

    async fn refresh(&self, limit: usize) -> Completeness {
        match self.reports.refresh(limit).await {
            Ok(()) => Completeness::Complete,
            Err(_) => Completeness::StoreUnavailable,
        }
    }

    /// The cached reports merged with the launcher's runs: the newest `limit`, in descending order of time.
    fn merged(&self, launched: Vec<Run>, limit: usize) -> Vec<Run> {
        let mut runs = self.reports.runs();
        for run in launched {
            let run_id = run.run_id.clone();
            let reported = runs.remove(&run_id).filter(|_| !run.state.is_active());
            if let Some(run) = merge(reported, Some(run)) {
                runs.insert(run_id, run);
            }
        }
        let mut runs: Vec<Run> = runs.into_values().map(|run| self.with_progress(run)).collect();
        runs.sort_by_key(|run| Reverse(recency(run)));
        runs.truncate(limit);
        runs
    }
}

/// Merges the run from a report with the details that only the launcher has. If the report and the launcher describe different processes with the
/// same run ID, the later one is returned: an earlier attempt, or a process of another replica.
fn merge(reported: Option<Run>, launched: Option<Run>) -> Option<Run> {
    let (Some(reported), Some(launched)) = (&reported, &launched) else {
        return reported.or(launched);
    };
    let is_before =
        |earlier: Option<Timestamp>, later: Option<Timestamp>| earlier.zip(later).is_some_and(|(earlier, later)| earlier < later);
    if is_before(reported.ended_at, launched.started_at) {
        return Some(launched.clone());
    }
    if is_before(launched.ended_at, reported.started_at) {
        return Some(reported.clone());
    }
    Some(Run {
        parameters: launched.parameters.clone().or_else(|| reported.parameters.clone()),
        trigger: launched.trigger,
        log_tail: launched.log_tail.clone(),
        ..reported.clone()
    })
}

/// The sort key of runs, ascending with time. A run that has not started is the newest.
fn recency(run: &Run) -> (Timestamp, RunId) {
    (run.started_at.or(run.ended_at).unwrap_or(Timestamp::MAX), run.run_id.clone())
}

#[cfg(test)]
mod tests;
