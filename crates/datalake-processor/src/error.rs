//! Why a run did not succeed.

use datalake_core::{
    plan::{GuardError, OutOfOrder},
    report::{RunId, RunOutcome},
};
use datalake_store::error::StoreError;
use datalake_table::error::TableError;

/// Why a run did not succeed. The report says whether it had committed by then.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store failed, after its own retries.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A guard refused what the sources would make of the table.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The listing cannot be trusted.
    #[error(transparent)]
    OutOfOrder(#[from] OutOfOrder),
    /// Other runs committed first, again and again.
    #[error("other runs kept committing first, {attempts} times; run it again")]
    Contended {
        /// How often this run tried.
        attempts: u32,
    },
    /// A first run that could read no user, because the sources had other ETags when they were read than in the listing, or were gone.
    #[error(
        "{unread} of {listed} CSV sources changed or vanished while they were read, or the store returns other objects than it lists; no \
         table was created; check for a proxy between here and the store, or run it again when the writers have finished"
    )]
    Unread {
        /// CSV sources that could not be read for this reason.
        unread: u64,
        /// CSV sources listed.
        listed: u64,
    },
    /// The table was removed while the run was active.
    #[error("the table was removed while the run was active; run it again")]
    TableGone,
    /// The run whose removals are allowed reported none.
    #[error(
        "run {run_id} reported no blocked removals, or its report is gone; pass the ID of a run that the guard against mass deletion stopped"
    )]
    NoBlockedRun {
        /// The run that was named.
        run_id: RunId,
    },
    /// Two creates of one key both succeeded, so that two runs at once could overwrite each other's commit; or the store knows no such
    /// condition at all.
    #[error(
        "this store does not support conditional creates (If-None-Match: *), so that concurrent runs could lose rows; use another store, or \
         pass --single-writer and make sure that only one run is active"
    )]
    NoCreateIfAbsent {
        /// What the store said, where it said something.
        source: Option<StoreError>,
    },
    /// A signal asked the run to stop.
    #[error("a signal stopped the run")]
    Stopped,
}

impl RunError {
    /// What the error means for whoever started the run.
    pub fn outcome(&self) -> RunOutcome {
        match self {
            Self::Store(StoreError::Denied { .. } | StoreError::Invalid { .. })
            | Self::NoCreateIfAbsent { .. }
            | Self::NoBlockedRun { .. } => RunOutcome::Misconfigured,
            Self::Table(TableError::Store(StoreError::Denied { .. } | StoreError::Invalid { .. })) => RunOutcome::Misconfigured,
            // A damaged table stays damaged, and a store that lists in no order goes on doing so.
            Self::Table(TableError::Unsupported { .. } | TableError::Corrupt { .. }) | Self::OutOfOrder(_) => RunOutcome::Misconfigured,
            Self::Store(_) | Self::Table(_) | Self::Contended { .. } | Self::Unread { .. } | Self::TableGone => RunOutcome::Failed,
            Self::Guard(_) => RunOutcome::Refused,
            Self::Stopped => RunOutcome::Stopped,
        }
    }

    /// The error and what caused it, in one line for a report. The text of an error of the store states its cause itself.
    pub fn in_words(&self) -> String {
        let mut words = self.to_string();
        if matches!(self, Self::Store(_) | Self::Table(TableError::Store(_))) {
            return words;
        }
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            if error.is::<StoreError>() {
                return format!("{words}: {error}");
            }
            words.push_str(": ");
            words.push_str(&error.to_string());
            source = error.source();
        }
        words
    }
}
