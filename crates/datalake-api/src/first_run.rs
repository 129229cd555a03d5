//! The first run: where there is no table yet, the server starts it, and again at growing intervals while it fails.
//!
//! Each attempt is a run of its own, asked for with a key of its own: of several replicas one starts it, and the others join.

use std::time::Duration;

use datalake_core::report::RunMode;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    launcher::{IdempotencyKey, LaunchError, Run, RunState},
    run_history::RunHistory,
    table_watch::{Held, TableWatch, chain},
};

/// How often is looked whether there is a table by now, and where the attempt stands.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// From the end of the first attempt to the second; doubled from attempt to attempt.
const PAUSE_FIRST: SignedDuration = SignedDuration::from_secs(10);

/// Sources may be dropped into an empty lake at any time; then nobody waits longer than this for them.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Sees to a first table until there is one, or `shutdown`.
pub(crate) async fn see_to(table: TableWatch, runs: RunHistory, clock: Clock, shutdown: CancellationToken) {
    let mut attempts = Attempts {
        runs,
        number: 1,
        run: None,
        not_before: Timestamp::MIN,
        is_failing: false,
    };
    loop {
        match table.state().held {
            Held::Snapshot(_) => return,
            Held::Unknown => {}
            Held::NoTable => {
                if !attempts.go_on(clock.now()).await {
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
    /// Does what is due. False where this server starts no runs.
    async fn go_on(&mut self, now: Timestamp) -> bool {
        let run = match &self.run {
            Some(run) => self.runs.find(&run.run_id).await,
            None => self.runs.find(&self.runs.run_id_of(&key(self.number))).await,
        };
        match run {
            Ok(Some(run)) => self.look_at(run, now),
            // What was known and is not any more, as a Job that was deleted before it began, has ended.
            Ok(None) if self.run.is_some() => self.begin_next(now),
            Ok(None) if now < self.not_before => {}
            Ok(None) => return self.start().await,
            // The table's watch tells that the store is down; what cannot be looked up is not started twice.
            Err(_) => {}
        }
        true
    }

    async fn start(&mut self) -> bool {
        match self.runs.start(Some(&key(self.number)), RunMode::Incremental).await {
            Ok(launched) => {
                tracing::info!(run.id = %launched.run.run_id, attempt = self.number, "there is no table yet: this is its first run");
                self.is_failing = false;
                self.run = Some(launched.run);
                true
            }
            Err(LaunchError::NotOffered) => false,
            Err(error) => {
                if !self.is_failing {
                    tracing::warn!(
                        error = chain(&error),
                        "the first run cannot be started; it is tried again and again"
                    );
                }
                self.is_failing = true;
                true
            }
        }
    }

    fn look_at(&mut self, run: Run, now: Timestamp) {
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
    use super::*;

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
