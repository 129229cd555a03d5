//! The runs that are known: the reports in the lake, joined with those that the launcher knows. Reports win, since they were written
//! by who was there, unless they tell of an earlier run of the same name.

use std::{
    collections::{BTreeMap, BinaryHeap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use datalake_core::{
    keys,
    report::{RunId, RunReport},
};
use datalake_store::{
    bucket::{Bucket, Etag, ObjectMeta},
    error::StoreError,
};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    idempotency::IdempotencyKey,
    launcher::{LaunchError, Launched, NextRun, RunLauncher, RunRequest},
    run::{Run, RunParameters, Trigger},
    run_cache::Told,
    shared_read::{SharedRead, SharedReads},
};
use datalake_core::error_chain::error_chain;

/// Most runs in one answer: over a month of hourly ones.
pub const RUNS_MAX: usize = 1_000;

/// Reports read at once: they are a few KiB each.
const READS_IN_FLIGHT: usize = 16;

/// A report has at most a hundred notices of under 2 KiB each; what is larger is none of ours.
const REPORT_BYTES_MAX: u64 = 256 * 1024;

/// A reader is answered with what is known rather than kept until the store's own attempts are over.
const STORE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Two days of hourly runs: where none of them has succeeded, the table's own age tells enough.
pub const RUNS_POLLED: usize = 50;

/// A run that another server started, or nobody, shows by its report alone: one listing finds it.
const POLL_PERIOD: Duration = Duration::from_secs(30);

/// A report is written a moment after what else tells of a run's end, and many changes at once are one.
const POLL_PAUSE_MIN: Duration = Duration::from_secs(1);

/// The runs of a lake. Cheap to clone; all clones share what was read.
#[derive(Clone, Debug)]
pub struct Runs {
    bucket: Arc<dyn Bucket>,
    launcher: Arc<dyn RunLauncher>,
    cache: Arc<Mutex<Cache>>,
    told: Told,
    reports_read: Arc<watch::Sender<()>>,
    listings: Arc<SharedRead<Listed>>,
    report_reads: Arc<SharedReads<RunId, Found>>,
    shutdown: Arc<OnceLock<CancellationToken>>,
}

/// The run of a report, if there is one.
type Found = Result<Option<Run>, Arc<StoreError>>;

/// The reports that were read, with their tags: a run that is tried again under its name writes its report anew. None stands for a
/// report that cannot be understood, so that it is neither read nor complained of twice.
type Cache = BTreeMap<RunId, (Etag, Option<Run>)>;

/// A listing of the reports, and how many of the newest were read.
#[derive(Clone, Copy, Debug)]
struct Listed {
    limit: usize,
    completeness: Completeness,
}

/// Whether all that is in the store is in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The store was asked just now.
    Complete,
    /// The store does not answer: what was read before, and what the launcher knows.
    StoreUnavailable,
}

impl Runs {
    /// Nothing is read before somebody asks.
    pub fn new(bucket: Arc<dyn Bucket>, launcher: Arc<dyn RunLauncher>) -> Self {
        Self {
            bucket,
            launcher,
            cache: Arc::default(),
            told: Told::default(),
            reports_read: Arc::new(watch::Sender::new(())),
            listings: Arc::default(),
            report_reads: Arc::default(),
            shutdown: Arc::default(),
        }
    }

    /// From `shutdown` on nobody follows a run any more: an answer that goes on would hold the server's end up.
    pub fn set_shutdown(&self, shutdown: CancellationToken) {
        // A second server over the same history does not outlive the first one.
        let _set_before = self.shutdown.set(shutdown);
    }

    /// The newest runs, the newest first, at most `limit` of them.
    pub async fn newest(&self, limit: usize) -> (Vec<Run>, Completeness) {
        let completeness = self.look_for_newest(limit).await;
        let mut runs = self.known().await;
        runs.truncate(limit);
        (runs, completeness)
    }

    /// The same without waiting for anybody longer than until `deadline`.
    pub async fn newest_by(&self, limit: usize, deadline: Instant) -> (Vec<Run>, Completeness) {
        let looking = tokio::time::timeout_at(deadline, self.look_for_newest(limit));
        let completeness = looking.await.unwrap_or(Completeness::StoreUnavailable);
        (self.newest_cached(limit).await, completeness)
    }

    /// Reads the reports that were not known, once for all that request them meanwhile.
    async fn look_for_newest(&self, limit: usize) -> Completeness {
        let listed = self.listings.get(
            |listed| listed.limit >= limit,
            async || Listed {
                limit,
                completeness: self.read_unknown(limit).await,
            },
        );
        listed.await.completeness
    }

    async fn read_unknown(&self, limit: usize) -> Completeness {
        match in_time(keys::RUNS, self.read_newest(limit.min(RUNS_MAX))).await {
            Ok(()) => Completeness::Complete,
            Err(error) => {
                tracing::warn!(
                    error = error_chain(&error),
                    "the reports of runs cannot be read; those read before are shown"
                );
                Completeness::StoreUnavailable
            }
        }
    }

    /// The newest runs without asking the store: [`Runs::poll_reports`] does. Where the launcher does not answer, they are those that it
    /// told last.
    pub async fn newest_cached(&self, limit: usize) -> Vec<Run> {
        let launched = self.told.runs(&*self.launcher).await;
        let mut runs = self.joined(launched);
        runs.truncate(limit);
        runs
    }

    /// Reads new reports now and then until `shutdown`, so that those who ask for what is known hear of runs that others started.
    pub async fn poll_reports(self, shutdown: CancellationToken) {
        let mut changes = self.launcher.changes();
        loop {
            changes.mark_unchanged();
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = self.newest(RUNS_POLLED) => {}
            }
            let pause = async {
                tokio::time::sleep(POLL_PAUSE_MIN).await;
                // A launcher that is gone changes nothing any more; time still does.
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

    /// When the next run begins by itself, as far as the launcher knows.
    pub async fn next_run(&self) -> NextRun {
        self.launcher.next_run().await
    }

    /// The last time, `at` or before, at which a run was due by itself, as far as the launcher knows.
    pub async fn previous_scheduled(&self, at: Timestamp) -> Option<Timestamp> {
        self.launcher.previous_scheduled(at).await
    }

    /// Changes whenever the launcher's runs do.
    pub fn launcher_changes(&self) -> watch::Receiver<()> {
        self.launcher.changes()
    }

    /// Changes whenever a report was read that was not known.
    pub fn reports_read(&self) -> watch::Receiver<()> {
        self.reports_read.subscribe()
    }

    /// Is cancelled when the server is about to end.
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.get().cloned().unwrap_or_default()
    }

    /// The run of an id, if anybody knows it.
    pub async fn find(&self, run_id: &RunId) -> Found {
        match self.find_known(run_id).await {
            // Most ids that are asked for are those of reports: whoever starts runs is asked last.
            Ok(None) => Ok(self.launcher.find(run_id).await),
            Err(error) => self.launcher.find(run_id).await.map(Some).ok_or(error),
            found => found,
        }
    }

    /// The run of an id, if the launcher has heard of it or it left a report.
    async fn find_known(&self, run_id: &RunId) -> Found {
        let launched = self.launcher.runs().await.into_iter().find(|run| run.run_id == *run_id);
        // The report of an active run would be that of an earlier attempt.
        if let Some(run) = launched.as_ref().filter(|run| run.state.is_active()) {
            return Ok(Some(run.clone()));
        }
        let read = async || in_time(&keys::run_report(run_id), self.read(run_id)).await.map_err(Arc::new);
        match self.report_reads.get(run_id, read).await {
            Ok(reported) => Ok(one_of(reported, launched)),
            Err(error) => match one_of(self.cache().get(run_id).and_then(|(_, run)| run.clone()), launched) {
                Some(run) => Ok(Some(run)),
                None => Err(error),
            },
        }
    }

    /// Returns the run of an earlier request with the same key, else an active run that answers the request, else a new run.
    pub async fn start(&self, key: Option<&IdempotencyKey>, parameters: RunParameters, trigger: Trigger) -> Result<Launched, LaunchError> {
        let run_id = key.map(|key| self.launcher.run_id_of(key));
        // It has arrived before the store is read: a run that is started until then answers it.
        let request = RunRequest::new(run_id, parameters, trigger);
        if let Some(run) = self.of_key(&request).await? {
            return Ok(Launched { run, started: false });
        }
        if let Some(run_id) = &request.parameters.allow_mass_delete_of {
            self.check_blocked(run_id).await?;
        }
        let launched = self.launcher.launch(request).await?;
        if launched.started || launched.run.state.is_active() {
            return Ok(launched);
        }
        // The run of a key has ended: its report tells more than the launcher.
        let found = self.find_known(&launched.run.run_id).await.ok().flatten();
        Ok(Launched {
            run: found.unwrap_or(launched.run),
            started: false,
        })
    }

    /// The run that the request's key started or joined, by the launcher's memory or by its report.
    async fn of_key(&self, request: &RunRequest) -> Result<Option<Run>, LaunchError> {
        let Some(key) = &request.run_id else {
            return Ok(None);
        };
        let joined = self.launcher.joined(key);
        let run_id = joined.as_ref().map_or(key, |joined| &joined.run_id);
        let found = self.find_known(run_id).await.map_err(|error| LaunchError::StoreUnavailable {
            what: "this Idempotency-Key has had its run",
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

    /// Whether there are deletions of the run that were blocked and can be permitted.
    async fn check_blocked(&self, run_id: &RunId) -> Result<(), LaunchError> {
        let found = self.find(run_id).await.map_err(|error| LaunchError::StoreUnavailable {
            what: "the run of allow_mass_delete_of was blocked",
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
            None => nothing("there is no such run; /runs shows those that are known", false),
            Some(run) if run.state.is_active() => nothing("the run is active; retry when it has ended and was blocked", true),
            Some(run) if run.report.as_deref().is_some_and(|report| report.blocked_deletions.is_some()) => Ok(()),
            Some(_) => nothing(
                "the run's report does not say that the mass-deletion guard blocked it; name a run with the state `refused` whose error names the deletions",
                false,
            ),
        }
    }

    /// Asks an active run to end.
    pub async fn stop(&self, run_id: &RunId) -> Result<(), LaunchError> {
        self.launcher.stop(run_id).await
    }

    /// The id of every run that is asked for with the key.
    pub fn run_id_of(&self, key: &IdempotencyKey) -> RunId {
        self.launcher.run_id_of(key)
    }

    /// The run once it has ended, or as it stands at `deadline` or when the server is about to end.
    pub async fn wait_for_end(&self, mut run: Run, deadline: Instant) -> Run {
        let (mut changes, shutdown) = (self.launcher.changes(), self.shutdown());
        let end = async {
            while run.state.is_active() {
                // What changes from here on is seen by the next round.
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

    /// The run each time that it differs from how it was last seen, its end the last; none where it had ended. It stops when the server
    /// does.
    pub fn changes_of(&self, run: Run) -> impl Stream<Item = Run> + Send + use<> {
        let mut changes = self.launcher.changes();
        // What changed after the caller looked would be missed: the first round waits for nothing.
        changes.mark_changed();
        let later = stream::unfold((self.clone(), changes, run), async move |(history, mut changes, seen)| {
            while seen.state.is_active() {
                changes.changed().await.ok()?;
                match history.find(&seen.run_id).await {
                    Ok(Some(found)) if found != seen => return Some((found.clone(), (history, changes, found))),
                    // Who does not answer now does so at the next change.
                    Ok(_) | Err(_) => {}
                }
            }
            None
        });
        let shutdown = self.shutdown();
        later.take_until(shutdown.cancelled_owned())
    }

    /// Reports read so far and the launcher's runs, the newest first.
    async fn known(&self) -> Vec<Run> {
        self.joined(self.launcher.runs().await)
    }

    /// Reports read so far and these runs of the launcher, the newest first.
    fn joined(&self, launched: Vec<Run>) -> Vec<Run> {
        let read = |(run_id, (_, run)): (&RunId, &(Etag, Option<Run>))| Some((run_id.clone(), run.clone()?));
        let mut runs: BTreeMap<RunId, Run> = self.cache().iter().filter_map(read).collect();
        for run in launched {
            let run_id = run.run_id.clone();
            let reported = runs.remove(&run_id).filter(|_| !run.state.is_active());
            if let Some(run) = one_of(reported, Some(run)) {
                runs.insert(run_id, run);
            }
        }
        let mut runs: Vec<Run> = runs.into_values().collect();
        runs.sort_by_key(|run| std::cmp::Reverse(age_order(run)));
        runs
    }

    async fn read_newest(&self, limit: usize) -> Result<(), StoreError> {
        let listed = self.list_newest(limit).await?;
        let missing: Vec<RunId> = {
            let mut cache = self.cache();
            // What the listing does not name is older than all that it does: it leaves when room is short.
            if cache.len() > RUNS_MAX {
                cache.retain(|run_id, _| listed.contains_key(run_id));
            }
            let is_missing = |run_id: &RunId, etag: &Etag| cache.get(run_id).is_none_or(|(held, _)| held != etag);
            let missing = listed.into_iter().filter(|(run_id, etag)| is_missing(run_id, etag));
            missing.map(|(run_id, _)| run_id).collect()
        };
        stream::iter(missing.into_iter().map(Ok))
            .try_for_each_concurrent(READS_IN_FLIGHT, async |run_id: RunId| self.read(&run_id).await.map(drop))
            .await
    }

    /// The reports that were written last. Memory does not grow with the number of reports.
    async fn list_newest(&self, limit: usize) -> Result<BTreeMap<RunId, Etag>, StoreError> {
        let mut newest = BinaryHeap::new();
        let mut listing = self.bucket.list(keys::RUNS, None);
        while let Some(object) = listing.next().await.transpose()? {
            if let Some(run_id) = keys::parse_run_report(&object.key) {
                newest.push(std::cmp::Reverse((object.modified, run_id, object.etag)));
            }
            if newest.len() > limit {
                newest.pop();
            }
        }
        Ok(newest
            .into_iter()
            .map(|std::cmp::Reverse((_, run_id, etag))| (run_id, etag))
            .collect())
    }

    /// The run as its report tells; none where there is no report, or none that can be understood.
    async fn read(&self, run_id: &RunId) -> Result<Option<Run>, StoreError> {
        let key = keys::run_report(run_id);
        let object = match self.bucket.get(&key, None, Some(0..REPORT_BYTES_MAX)).await {
            Ok(object) => object,
            // An empty object has no range.
            Err(StoreError::NotFound { .. } | StoreError::Invalid { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let run = understand(run_id, &object.meta, &object.bytes);
        let mut cache = self.cache();
        let is_news = cache.get(run_id).is_none_or(|(held, _)| *held != object.meta.etag);
        if let (Err(reason), true) = (&run, is_news) {
            tracing::warn!(run.id = %run_id, reason, "a run's report cannot be understood and is left out");
        }
        let run = run.ok();
        cache.insert(run_id.clone(), (object.meta.etag, run.clone()));
        drop(cache);
        if is_news {
            self.reports_read.send_replace(());
        }
        Ok(run)
    }

    /// What the lock guards is replaced in single steps, so a panic elsewhere leaves it whole.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The run as its report shows it, with what the launcher alone knows. A report that was written before the launched run began is an earlier
/// run's of the same name; one of a run that began after the launched one had ended is a later run's, of another replica.
fn one_of(reported: Option<Run>, launched: Option<Run>) -> Option<Run> {
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

/// What the newest run is the greatest by. One that has not begun and may still do so is the newest of all.
fn age_order(run: &Run) -> (Timestamp, RunId) {
    (run.started_at.or(run.ended_at).unwrap_or(Timestamp::MAX), run.run_id.clone())
}

/// The run of a report, or why the report is none of that run.
fn understand(run_id: &RunId, meta: &ObjectMeta, bytes: &[u8]) -> Result<Run, String> {
    if meta.size > REPORT_BYTES_MAX {
        return Err(format!("over {REPORT_BYTES_MAX} bytes"));
    }
    let report: RunReport = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if report.run_id != *run_id {
        return Err(format!("it names another run, {}", report.run_id));
    }
    Ok(Arc::new(report).into())
}

/// The answer, or that there was none in time.
async fn in_time<T>(key: &str, asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(STORE_WAIT_MAX, asking).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable {
            key: key.to_owned(),
            reason: "the store did not respond in time".to_owned(),
            attempts: 1,
            source: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use datalake_core::report::RunOutcome;

    use super::*;
    use crate::run::RunState;

    fn run(run_id: &str, started_at: Option<i64>, ended_at: Option<i64>) -> Run {
        let at = |second| Timestamp::from_second(second).unwrap();
        Run {
            run_id: RunId::parse(run_id).unwrap(),
            state: ended_at.map_or(RunState::Pending, |_| RunState::Ended(RunOutcome::Stopped)),
            mode: None,
            parameters: None,
            trigger: None,
            started_at: started_at.map(at),
            ended_at: ended_at.map(at),
            error: None,
            log_tail: None,
            report: None,
        }
    }

    /// Of a report that was written at second 100 and a launched run, the one that is told.
    #[track_caller]
    fn check_told(launched: Option<&Run>, is_report: bool) {
        let reported = run("a", Some(90), Some(100));
        let told = one_of(Some(reported.clone()), launched.cloned());
        assert_eq!(told == Some(reported), is_report, "{launched:?}");
    }

    #[test]
    fn a_report_tells_of_a_run_that_had_begun() {
        check_told(None, true);
        check_told(Some(&run("a", Some(89), Some(101))), true);
        // By the same clock in whole seconds.
        check_told(Some(&run("a", Some(100), Some(100))), true);
        check_told(Some(&run("a", Some(101), Some(102))), false);
        check_told(Some(&run("a", Some(101), None)), false);
        // Nobody has seen it begin.
        check_told(Some(&run("a", None, Some(110))), true);
        // A later process of this name, of another replica.
        check_told(Some(&run("a", Some(80), Some(89))), true);
        assert_eq!(one_of(None, None), None);
        assert_eq!(one_of(None, Some(run("a", None, None))), Some(run("a", None, None)));
    }

    #[test]
    fn what_the_launcher_alone_knows_is_told_with_the_report() {
        let launched = Run {
            trigger: Some(Trigger::Schedule),
            log_tail: Some("a line".into()),
            ..run("a", Some(89), Some(101))
        };
        let told = one_of(Some(run("a", Some(90), Some(100))), Some(launched)).unwrap();
        assert_eq!((told.trigger, told.log_tail.as_deref()), (Some(Trigger::Schedule), Some("a line")));
        assert_eq!(told.ended_at, Some(Timestamp::from_second(100).unwrap()));
        let of_another_process = Run {
            log_tail: Some("a line".into()),
            ..run("a", Some(80), Some(89))
        };
        let told = one_of(Some(run("a", Some(90), Some(100))), Some(of_another_process)).unwrap();
        assert_eq!(told.log_tail, None);
    }

    #[test]
    fn the_newest_run_is_the_last_that_began() {
        let mut runs = [
            run("stopped-before-it-began", None, Some(20)),
            run("pending", None, None),
            run("first", Some(10), Some(100)),
            run("last", Some(30), Some(31)),
        ];
        runs.sort_by_key(age_order);
        assert_eq!(
            runs.map(|run| run.run_id.to_string()),
            ["first", "stopped-before-it-began", "last", "pending"]
        );
    }
}
