//! The input of a run: the lake, what the run may do, and its listener for progress.

use std::{fmt, sync::Arc, time::Duration};

use datalake_core::{
    dataset::Dataset,
    plan::{DeletionGuard, RejectRatio},
    run::{RunId, RunMode},
};
use datalake_store::{bucket::Bucket, request_counter::RequestCounter};
use datalake_table::settings::TableSettings;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::error::RunError;

/// A store that returns wrong responses for a moment recovers in this time.
const RECHECK_AFTER: Duration = Duration::from_secs(10);

/// The lake that a run works on.
#[derive(Clone, Debug)]
pub struct Lake {
    /// The lake's objects.
    pub bucket: Arc<dyn Bucket>,
    /// Counts the run's requests to the store.
    pub requests: Arc<RequestCounter>,
}

/// The progress of a run, for progress bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The run has started, and has no response of the store yet.
    Connecting,
    /// The sources are being listed.
    Listed {
        /// Objects listed.
        objects: u64,
    },
    /// The changed sources are being read.
    Read {
        /// Rows done.
        done: usize,
        /// All changed rows.
        total: usize,
    },
    /// The images of changed rows are being copied. Rows whose image need not be copied count as well.
    Copied {
        /// Rows done.
        done: usize,
        /// All changed rows.
        total: usize,
    },
    /// The new data files are being written and committed.
    Committing,
    /// `output.csv` and the image copies are being published.
    Publishing,
}

/// Receives the progress of a run.
pub type OnProgress = dyn Fn(Progress) + Send + Sync;

/// Whether several runs may be active at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writers {
    /// They may, and the store has to support conditional creates.
    #[default]
    Many,
    /// The operator makes sure that only one run is active, so the store needs no conditional creates.
    Single,
}

/// The options of a run.
#[derive(Clone)]
pub struct RunOptions {
    /// The run's ID.
    pub run_id: RunId,
    /// Which sources it reads.
    pub mode: RunMode,
    /// Whether the run may remove most of the rows.
    pub deletion_guard: DeletionGuard,
    /// A blocked run. This run may make exactly the removals that the blocked run reported.
    pub allow_mass_delete_of: Option<RunId>,
    /// The share of the sources that may be rejected.
    pub reject_ratio_max: RejectRatio,
    /// The declaration that overrides that of the lake.
    pub dataset: Option<Arc<Dataset>>,
    /// Whether other runs may be active.
    pub writers: Writers,
    /// The sizes of data files, and how often the table is checkpointed.
    pub table: TableSettings,
    /// The current time. The run reads no other clock.
    pub clock: fn() -> Timestamp,
    /// Returns a random number from 0 to 1, so that conflicting runs pause for different times.
    pub jitter: fn() -> f64,
    /// The pause between the two checks after which a missing or damaged object of the table counts as lost.
    pub recheck_after: Duration,
    /// Receives the progress of the run.
    pub progress: Arc<OnProgress>,
    /// If cancelled before the commit, the run stops; after the commit it finishes.
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
    /// The defaults of the command line. Progress is not reported.
    pub fn new(run_id: RunId, clock: fn() -> Timestamp) -> Self {
        Self {
            run_id,
            mode: RunMode::default(),
            deletion_guard: DeletionGuard::default(),
            allow_mass_delete_of: None,
            reject_ratio_max: RejectRatio::default(),
            dataset: None,
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

/// The result of the work, or [`RunError::Stopped`] if the run is cancelled before the work is done.
pub(crate) async fn cancellable<T>(cancel: &CancellationToken, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(RunError::Stopped),
        result = work => result,
    }
}
