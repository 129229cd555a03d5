//! The interface of a launcher: how the server starts runs without linking the processor.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use datalake_core::{progress::RunProgress, run::RunId};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    idempotency::{IdempotencyKey, JoinedRun},
    run::{Run, RunParameters, Trigger},
};

/// Active runs that a launcher allows. Parallel runs are safe, but each reads the sources and uses memory.
pub const ACTIVE_RUNS_MAX: usize = 3;

/// Starts runs and knows the active ones. It does not read reports.
#[async_trait]
pub trait RunLauncher: fmt::Debug + Send + Sync {
    /// Returns the run that the request's key started or joined, else an active run that includes the request, else a new run.
    ///
    /// A [`Trigger::Api`] request joins only a run that provably starts to read after the request arrived. Requests with other triggers join any
    /// active run with sufficient parameters.
    async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError>;

    /// The ID of the run that a request with the key starts: the same on every replica and after every restart.
    fn run_id_of(&self, key: &IdempotencyKey) -> RunId {
        RunId::parse(&format!("run-{}", key.digest())).expect("made of letters, digits and a hyphen")
    }

    /// The run that the request with the key joined, if this process remembers it. `key` is the result of [`RunLauncher::run_id_of`].
    fn joined(&self, _key: &RunId) -> Option<JoinedRun> {
        None
    }

    /// The runs that the launcher knows, in any order: the active ones, and the ended ones that it remembers.
    async fn runs(&self) -> Vec<Run>;

    /// Returns the run with this ID, even if another replica has just started it.
    async fn find(&self, run_id: &RunId) -> Option<Run> {
        self.runs().await.into_iter().find(|run| run.run_id == *run_id)
    }

    /// Requests the end of an active run. Has no effect on a run that is not active.
    async fn stop(&self, run_id: &RunId) -> Result<(), LaunchError>;

    /// The progress of an active run; none if the launcher does not know it. The channel is closed after the end of the run.
    fn progress(&self, _run_id: &RunId) -> Option<watch::Receiver<Option<RunProgress>>> {
        None
    }

    /// Whether the launcher starts runs.
    fn starts_runs(&self) -> bool {
        true
    }

    /// When the next scheduled run starts.
    async fn next_run(&self) -> NextRun {
        NextRun::Unknown
    }

    /// The last scheduled time that is not after `at`; none if the schedule is unknown.
    async fn previous_scheduled(&self, _at: Timestamp) -> Option<Timestamp> {
        None
    }

    /// Changes whenever a run starts or ends.
    fn changes(&self) -> watch::Receiver<()>;
}

/// A request for a run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The run ID of the request's idempotency key, see [`RunLauncher::run_id_of`]; none if it has no key. The launcher then generates an ID.
    pub run_id: Option<RunId>,
    /// The parameters of the run.
    pub parameters: RunParameters,
    /// What triggered the request.
    pub trigger: Trigger,
    /// When the request arrived. The run includes everything that was stored before.
    pub arrived: LogicalTime,
}

impl RunRequest {
    /// A request that arrives now.
    pub fn new(run_id: Option<RunId>, parameters: RunParameters, trigger: Trigger) -> Self {
        Self {
            run_id,
            parameters,
            trigger,
            arrived: LogicalTime::now(),
        }
    }
}

/// The response to a request for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The run that includes the request.
    pub run: Run,
    /// Whether the request started the run; false if it joined the run or repeated a key.
    pub started: bool,
}

/// A position in the order in which requests arrive and runs start in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogicalTime(u64);

impl LogicalTime {
    /// A position after every earlier one. It is a counter because two readings of a clock may be equal.
    pub fn now() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::SeqCst))
    }
}

/// When the next scheduled run starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextRun {
    /// The schedule is unknown to this server.
    #[default]
    Unknown,
    /// No run is scheduled.
    Never,
    /// At this time, unless a run is active.
    At(Timestamp),
}

/// Why a run was not started or stopped. Each variant needs another reaction of the caller.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The server does not start runs.
    #[error("this server does not start runs")]
    Disabled,
    /// The server is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// [`ACTIVE_RUNS_MAX`] runs are active, and the request can join none of them.
    #[error(
        "{ACTIVE_RUNS_MAX} runs are active, the maximum, and none of them starts to read after this request; retry after one has ended"
    )]
    TooManyRuns,
    /// The idempotency key started or joined a run with other parameters.
    #[error("the Idempotency-Key was used before with another body, for run {run_id}; send the same body, or use another key")]
    KeyReused {
        /// The run of the first request with the key.
        run_id: RunId,
    },
    /// The run has no blocked deletions that could be permitted.
    #[error("cannot permit the deletions of allow_mass_delete_of, run {run_id}: {reason}")]
    NothingBlocked {
        /// The run in the request.
        run_id: RunId,
        /// The cause and the remedy.
        reason: &'static str,
        /// Whether the run is active, so it may still be blocked.
        is_active: bool,
    },
    /// The store does not respond, and the request depends on what is stored.
    #[error("cannot determine whether {what}: the store does not respond; retry")]
    StoreUnavailable {
        /// The condition that the store decides.
        what: &'static str,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another operation is in progress; a retry is likely to succeed.
    #[error("{reason}")]
    Busy {
        /// The operation in progress.
        reason: String,
    },
    /// The attempt failed.
    #[error("{reason}")]
    Failed {
        /// What failed, why, and the remedy.
        reason: String,
        /// The cause.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_times_increase() {
        let times = [LogicalTime::now(), LogicalTime::now(), LogicalTime::now()];
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    }
}
