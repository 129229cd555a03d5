//! The first run: where there is no table yet, the server starts it, and again at growing intervals while it fails.
//!
//! Each attempt is a run of its own, asked for with a key of its own: of several replicas one starts it, and the others join.

use std::{collections::BTreeSet, time::Duration};

use datalake_core::report::RunId;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use datalake_api::snapshots::watch::{TableState, TableWatch};
use datalake_core::{clock::Clock, error_chain::error_chain};
use datalake_runs::{
    idempotency::IdempotencyKey,
    launcher::LaunchError,
    run::{Run, RunParameters, RunState, Trigger},
    runs::{RUNS_MAX, RunHistory},
};

/// How often is looked whether there is a table by now, and where the attempt stands.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// From the end of the first attempt to the second; doubled from attempt to attempt.
const PAUSE_FIRST: SignedDuration = SignedDuration::from_secs(10);

/// Sources may be dropped into an empty lake at any time; then nobody waits longer than this for them.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Attempts that another server may have made before this one looks: a week of the longest pauses.
const ATTEMPTS_AHEAD_MAX: u32 = 1_000;

/// Sees to a first table until there is one, or `shutdown`.
pub(crate) async fn ensure_first_run(table: TableWatch, runs: RunHistory, clock: Clock, shutdown: CancellationToken) {
    let mut attempts = Attempts::new(runs);
    loop {
        match table.status().state {
            TableState::Loaded(_) => return,
            TableState::Loading => {}
            TableState::Missing => {
                if !attempts.step(clock.now()).await {
                    return;
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_PERIOD) => {}
        }
    }
}

struct Attempts {
    runs: RunHistory,
    /// From 1.
    number: u32,
    /// The run that the present attempt started or joined.
    run: Option<Run>,
    not_before: Timestamp,
    is_failing: bool,
}

impl Attempts {
    fn new(runs: RunHistory) -> Self {
        Self {
            runs,
            number: 1,
            run: None,
            not_before: Timestamp::MIN,
            is_failing: false,
        }
    }

    /// Does what is due. False where this server starts no runs.
    async fn step(&mut self, now: Timestamp) -> bool {
        let run = match &self.run {
            Some(run) => self.runs.find(&run.run_id).await,
            None => self.runs.find(&self.runs.run_id_of(&key(self.number))).await,
        };
        match run {
            Ok(Some(run)) => self.on_run_state(run, now),
            // What was known and is not any more, as a Job that was deleted before it began, has ended.
            Ok(None) if self.run.is_some() => self.begin_next(now),
            Ok(None) if now < self.not_before => {}
            Ok(None) => match self.later_attempt().await {
                Some(number) => self.number = number,
                None => return self.start().await,
            },
            // The table's watch tells that the store is down; what cannot be looked up is not started twice.
            Err(_) => {}
        }
        true
    }

    /// The last attempt that is known, where it is later than the present one: a server that starts anew goes on where it was, also
    /// where nobody knows the earlier attempts any more.
    async fn later_attempt(&self) -> Option<u32> {
        let (known, _) = self.runs.newest(RUNS_MAX).await;
        let known: BTreeSet<RunId> = known.into_iter().map(|run| run.run_id).collect();
        let ahead = self.number.saturating_add(1)..=self.number.saturating_add(ATTEMPTS_AHEAD_MAX);
        ahead.rev().find(|number| known.contains(&self.runs.run_id_of(&key(*number))))
    }

    async fn start(&mut self) -> bool {
        let key = key(self.number);
        match self.runs.start(Some(&key), RunParameters::default(), Trigger::FirstRun).await {
            Ok(launched) => {
                tracing::info!(run.id = %launched.run.run_id, attempt = self.number, "there is no table yet: this is its first run");
                self.is_failing = false;
                self.run = Some(launched.run);
                true
            }
            Err(LaunchError::NotOffered) => false,
            // One of them may make the table.
            Err(LaunchError::TooManyRuns) => true,
            Err(error) => {
                if !self.is_failing {
                    tracing::warn!(
                        error = error_chain(&error),
                        "the first run cannot be started; it is tried again and again"
                    );
                }
                self.is_failing = true;
                true
            }
        }
    }

    fn on_run_state(&mut self, run: Run, now: Timestamp) {
        match run.state {
            RunState::Pending | RunState::Running => self.run = Some(run),
            RunState::Ended(_) => self.begin_next(run.ended_at.unwrap_or(now)),
        }
    }

    fn begin_next(&mut self, ended_at: Timestamp) {
        self.not_before = ended_at.checked_add(pause_after(self.number)).unwrap_or(Timestamp::MAX);
        self.number = self.number.saturating_add(1);
        self.run = None;
    }
}

fn key(attempt: u32) -> IdempotencyKey {
    IdempotencyKey::parse(&format!("first-run-{attempt}")).expect("letters, hyphens and digits")
}

fn pause_after(attempt: u32) -> SignedDuration {
    let factor = 2_i32.saturating_pow(attempt.saturating_sub(1));
    PAUSE_FIRST.checked_mul(factor).map_or(PAUSE_MAX, |pause| pause.min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use datalake_core::report::RunOutcome;
    use datalake_store::memory::MemoryBucket;
    use tokio::sync::watch;

    use super::*;
    use datalake_runs::launcher::{Launched, RunLauncher, RunRequest};

    /// What every replica's launcher sees: of several that make a run of one name, one makes it.
    #[derive(Clone, Debug, Default)]
    struct Cluster(Arc<Mutex<Vec<Run>>>);

    #[async_trait]
    impl RunLauncher for Cluster {
        async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError> {
            let run_id = request.run_id.expect("each attempt has a key");
            // Whoever else is about to make it does so first.
            tokio::task::yield_now().await;
            let mut runs = self.0.lock().unwrap();
            if let Some(run) = runs.iter().find(|run| run.run_id == run_id) {
                return Ok(Launched {
                    run: run.clone(),
                    started: false,
                });
            }
            let run = Run {
                run_id,
                state: RunState::Pending,
                mode: None,
                parameters: None,
                trigger: Some(request.trigger),
                started_at: None,
                ended_at: None,
                error: None,
                log_tail: None,
                report: None,
            };
            runs.push(run.clone());
            Ok(Launched { run, started: true })
        }

        async fn runs(&self) -> Vec<Run> {
            self.0.lock().unwrap().clone()
        }

        async fn stop(&self, _: &RunId) -> Result<(), LaunchError> {
            Err(LaunchError::NotOffered)
        }

        fn changes(&self) -> watch::Receiver<()> {
            watch::Sender::new(()).subscribe()
        }
    }

    impl Cluster {
        fn replica(&self) -> Attempts {
            Attempts::new(RunHistory::new(Arc::new(MemoryBucket::new()), Arc::new(self.clone())))
        }

        /// The active run ends at that second.
        fn fail(&self, second: i64) {
            let mut runs = self.0.lock().unwrap();
            let run = runs.last_mut().unwrap();
            run.state = RunState::Ended(RunOutcome::Failed);
            run.ended_at = Some(at(second));
        }

        fn forget_all_but_the_last(&self) {
            let mut runs = self.0.lock().unwrap();
            let forgotten = runs.len() - 1;
            runs.drain(..forgotten);
        }

        /// The attempts whose runs there are.
        #[track_caller]
        fn check(&self, expected: &[u32]) {
            let ids: Vec<_> = self.0.lock().unwrap().iter().map(|run| run.run_id.to_string()).collect();
            let expected: Vec<_> = expected.iter().map(|number| self.run_id_of(&key(*number)).to_string()).collect();
            assert_eq!(ids, expected);
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    /// Every replica looks at that second; often enough that each that has something to do has done it.
    async fn look(replicas: &mut [Attempts], second: i64) {
        for _ in 0..3 {
            let looks = replicas.iter_mut().map(|replica| replica.step(at(second)));
            let looked = futures_util::future::join_all(looks).await;
            assert!(looked.into_iter().all(|goes_on| goes_on));
        }
    }

    #[tokio::test]
    async fn of_two_replicas_one_starts_each_attempt() {
        let cluster = Cluster::default();
        let mut replicas = [cluster.replica(), cluster.replica()];
        look(&mut replicas, 0).await;
        cluster.check(&[1]);
        look(&mut replicas, 5).await;
        cluster.fail(6);
        look(&mut replicas, 15).await;
        cluster.check(&[1]);
        look(&mut replicas, 16).await;
        cluster.check(&[1, 2]);
        cluster.fail(20);
        look(&mut replicas, 39).await;
        cluster.check(&[1, 2]);
        look(&mut replicas, 40).await;
        cluster.check(&[1, 2, 3]);
    }

    #[tokio::test]
    async fn a_server_that_starts_anew_goes_on_with_the_last_pause() {
        let cluster = Cluster::default();
        let mut replicas = [cluster.replica()];
        let mut now = 0;
        for attempt in 1..=5 {
            look(&mut replicas, now).await;
            cluster.fail(now);
            look(&mut replicas, now).await;
            now += pause_after(attempt).as_secs();
        }
        cluster.check(&[1, 2, 3, 4, 5]);
        // Kubernetes keeps the last Jobs only.
        cluster.forget_all_but_the_last();
        let mut replicas = [cluster.replica(), cluster.replica()];
        look(&mut replicas, now - 1).await;
        cluster.check(&[5]);
        look(&mut replicas, now).await;
        cluster.check(&[5, 6]);
    }

    #[track_caller]
    fn check(attempt: u32, seconds: i64) {
        assert_eq!(pause_after(attempt).as_secs(), seconds, "attempt {attempt}");
    }

    #[test]
    fn pauses_grow() {
        check(1, 10);
        check(2, 20);
        check(6, 320);
        check(7, 600);
        check(u32::MAX, 600);
    }
}
