//! The first run of a lake: while there is no table, the server starts runs, at growing intervals while they fail.
//!
//! Each attempt has an idempotency key that all replicas share: one of them starts the run, and the others join it.

use std::{collections::BTreeSet, time::Duration};

use datalake_core::run::RunId;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use datalake_api::snapshots::watch::{TableState, TableWatch};
use datalake_core::{clock::Clock, error_chain::error_chain};
use datalake_runs::{
    idempotency::IdempotencyKey,
    launcher::LaunchError,
    run::{Run, RunParameters, RunState, Trigger},
    runs::{RUNS_MAX, Runs},
};

/// How often the table and the current attempt are checked.
const CHECK_PERIOD: Duration = Duration::from_secs(1);

/// From the end of the first attempt to the start of the second; it doubles after each attempt.
const PAUSE_FIRST: SignedDuration = SignedDuration::from_secs(10);

/// The longest time from the first upload to an empty lake to the next attempt.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Attempts that other servers may have made before this one starts: a week of the longest pauses.
const ATTEMPTS_AHEAD_MAX: u32 = 1_000;

/// Starts runs until there is a table, or until `shutdown`.
pub(crate) async fn ensure_first_run(table: TableWatch, runs: Runs, clock: Clock, shutdown: CancellationToken) {
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
            () = tokio::time::sleep(CHECK_PERIOD) => {}
        }
    }
}

struct Attempts {
    runs: Runs,
    /// From 1.
    number: u32,
    /// The run that the current attempt started or joined.
    run: Option<Run>,
    not_before: Timestamp,
    is_failing: bool,
}

impl Attempts {
    fn new(runs: Runs) -> Self {
        Self {
            runs,
            number: 1,
            run: None,
            not_before: Timestamp::MIN,
            is_failing: false,
        }
    }

    /// Performs the next step, unless it is too early. Returns false if this server starts no runs.
    async fn step(&mut self, now: Timestamp) -> bool {
        let run = match &self.run {
            Some(run) => self.runs.find(&run.run_id).await,
            None => self.runs.find(&self.runs.run_id_of(&key(self.number))).await,
        };
        match run {
            Ok(Some(run)) => self.on_run_state(run, now),
            // A run that has disappeared, such as a Job that was deleted before it started, has ended.
            Ok(None) if self.run.is_some() => self.schedule_next(now),
            Ok(None) if now < self.not_before => {}
            Ok(None) => match self.later_attempt().await {
                Some(number) => self.number = number,
                None => return self.start().await,
            },
            // The watch of the table logs that the store is down. A run that cannot be looked up is not started twice.
            Err(_) => {}
        }
        true
    }

    /// The last known attempt, if it is later than the current one: a restarted server continues there, even if earlier attempts were forgotten.
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
                let outcome = if launched.started {
                    "first run started"
                } else {
                    "first run joined an active run"
                };
                tracing::info!(run.id = %launched.run.run_id, attempt = self.number, "{outcome}");
                self.is_failing = false;
                self.run = Some(launched.run);
                true
            }
            Err(LaunchError::Disabled) => false,
            // One of the active runs may create the table.
            Err(LaunchError::TooManyRuns) => true,
            Err(error) => {
                if !self.is_failing {
                    tracing::warn!(error = error_chain(&error), "cannot start the first run; retrying every second");
                }
                self.is_failing = true;
                true
            }
        }
    }

    fn on_run_state(&mut self, run: Run, now: Timestamp) {
        match run.state {
            RunState::Pending | RunState::Running => self.run = Some(run),
            RunState::Ended(_) => self.schedule_next(run.ended_at.unwrap_or(now)),
        }
    }

    fn schedule_next(&mut self, ended_at: Timestamp) {
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
    use datalake_core::run::RunOutcome;
    use datalake_store::memory::MemoryBucket;
    use tokio::sync::watch;

    use super::*;
    use datalake_runs::launcher::{Launched, RunLauncher, RunRequest};

    /// A launcher that all replicas share: it creates one run for each name.
    #[derive(Clone, Debug, Default)]
    struct Cluster(Arc<Mutex<Vec<Run>>>);

    #[async_trait]
    impl RunLauncher for Cluster {
        async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError> {
            let run_id = request.run_id.expect("each attempt has a key");
            // Other replicas may create the run first.
            tokio::task::yield_now().await;
            let mut runs = self.0.lock().unwrap();
            if let Some(run) = runs.iter().find(|run| run.run_id == run_id) {
                return Ok(Launched {
                    run: run.clone(),
                    started: false,
                });
            }
            let run = Run {
                trigger: Some(request.trigger),
                ..Run::new(run_id, RunState::Pending)
            };
            runs.push(run.clone());
            Ok(Launched { run, started: true })
        }

        async fn runs(&self) -> Vec<Run> {
            self.0.lock().unwrap().clone()
        }

        async fn stop(&self, _: &RunId) -> Result<(), LaunchError> {
            Err(LaunchError::Disabled)
        }

        fn changes(&self) -> watch::Receiver<()> {
            watch::Sender::new(()).subscribe()
        }
    }

    impl Cluster {
        fn replica(&self) -> Attempts {
            Attempts::new(Runs::new(Arc::new(MemoryBucket::new()), Arc::new(self.clone())))
        }

        /// Ends the active run at this second.
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

        /// Compares the existing runs with those of these attempts.
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

    /// Every replica performs its steps at this second; three are enough to finish.
    async fn step_all(replicas: &mut [Attempts], second: i64) {
        for _ in 0..3 {
            let steps = replicas.iter_mut().map(|replica| replica.step(at(second)));
            let continues = futures_util::future::join_all(steps).await;
            assert!(continues.into_iter().all(|continues| continues));
        }
    }

    #[tokio::test]
    async fn replicas_start_each_attempt_once() {
        let cluster = Cluster::default();
        let mut replicas = [cluster.replica(), cluster.replica()];
        step_all(&mut replicas, 0).await;
        cluster.check(&[1]);
        step_all(&mut replicas, 5).await;
        cluster.fail(6);
        step_all(&mut replicas, 15).await;
        cluster.check(&[1]);
        step_all(&mut replicas, 16).await;
        cluster.check(&[1, 2]);
        cluster.fail(20);
        step_all(&mut replicas, 39).await;
        cluster.check(&[1, 2]);
        step_all(&mut replicas, 40).await;
        cluster.check(&[1, 2, 3]);
    }

    #[tokio::test]
    async fn restarted_server_continues_with_the_last_pause() {
        let cluster = Cluster::default();
        let mut replicas = [cluster.replica()];
        let mut now = 0;
        for attempt in 1..=5 {
            step_all(&mut replicas, now).await;
            cluster.fail(now);
            step_all(&mut replicas, now).await;
            now += pause_after(attempt).as_secs();
        }
        cluster.check(&[1, 2, 3, 4, 5]);
        // Kubernetes keeps the last Jobs only.
        cluster.forget_all_but_the_last();
        let mut replicas = [cluster.replica(), cluster.replica()];
        step_all(&mut replicas, now - 1).await;
        cluster.check(&[5]);
        step_all(&mut replicas, now).await;
        cluster.check(&[5, 6]);
    }

    #[track_caller]
    fn check(attempt: u32, seconds: i64) {
        assert_eq!(pause_after(attempt).as_secs(), seconds, "attempt {attempt}");
    }

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        check(1, 10);
        check(2, 20);
        check(6, 320);
        check(7, 600);
        check(u32::MAX, 600);
    }
}
