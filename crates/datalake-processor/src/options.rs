//! What a run is told: where it works, what it may do, and whom it tells how far it is.

use std::{fmt, sync::Arc, time::Duration};

use datalake_core::{
    plan::{DeletionGuard, RejectRatio},
    report::{RunId, RunMode},
};
use datalake_store::{bucket::Bucket, counter::RequestCounter};
use datalake_table::settings::TableSettings;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::error::RunError;

/// Long enough for a store that answers wrongly for a moment to recover.
const RECHECK_AFTER: Duration = Duration::from_secs(10);

/// Where a run works.
#[derive(Clone, Debug)]
pub struct Lake {
    /// The lake's objects.
    pub bucket: Arc<dyn Bucket>,
    /// Counts what the run asks of it.
    pub requests: Arc<RequestCounter>,
}

/// How far a run is: for progress bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many objects are listed.
    Listed {
        /// Objects so far.
        objects: u64,
    },
    /// So many changed users are read.
    Read {
        /// Users so far.
        users: usize,
        /// Users in all.
        total: usize,
    },
    /// The pictures of so many changed users are copied, or need not be.
    Copied {
        /// Users so far.
        users: usize,
        /// Users in all.
        total: usize,
    },
    /// The new segments are written and committed.
    Committing,
    /// What derives from the commit is published.
    Publishing,
}

/// Whether two runs may be under way at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writers {
    /// The store decides between them, and must be able to.
    #[default]
    Many,
    /// Somebody makes sure that there is one; the store need not be able to.
    Single,
}

/// What a run is to do. Times come from here: the run asks no clock of its own but this one.
#[derive(Clone)]
pub struct RunOptions {
    /// The run's name.
    pub run_id: RunId,
    /// Which sources it reads.
    pub mode: RunMode,
    /// Whether it may remove most of the users.
    pub deletion_guard: DeletionGuard,
    /// The blocked run whose reported removals, exactly, this run may make in spite of the guard.
    pub allow_mass_delete_of: Option<RunId>,
    /// Which share of the sources may be rejected.
    pub reject_ratio_max: RejectRatio,
    /// Whether other runs may be under way.
    pub writers: Writers,
    /// The sizes of the table.
    pub table: TableSettings,
    /// The present time.
    pub clock: fn() -> Timestamp,
    /// A random number from 0 to 1, by which runs that lose to each other wait for different times.
    pub jitter: fn() -> f64,
    /// Between the two looks after which a missing or damaged object of the table counts as lost.
    pub recheck_after: Duration,
    /// Told how far the run is.
    pub progress: Arc<dyn Fn(Progress) + Send + Sync>,
    /// Cancelled, the run stops before its commit, or finishes after it.
    pub cancel: CancellationToken,
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("run_id", &self.run_id)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl RunOptions {
    /// The defaults of the command line, without progress.
    pub fn new(run_id: RunId, clock: fn() -> Timestamp) -> Self {
        Self {
            run_id,
            mode: RunMode::default(),
            deletion_guard: DeletionGuard::default(),
            allow_mass_delete_of: None,
            reject_ratio_max: RejectRatio::default(),
            writers: Writers::default(),
            table: TableSettings::default(),
            clock,
            jitter: fastrand::f64,
            recheck_after: RECHECK_AFTER,
            progress: Arc::new(|_| {}),
            cancel: CancellationToken::new(),
        }
    }
}

/// What comes of the work, unless the run is asked to stop before it has ended.
pub(crate) async fn cancellable<T>(cancel: &CancellationToken, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(RunError::Stopped),
        result = work => result,
    }
}
