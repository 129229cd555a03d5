//! Errors of a run.

use datalake_core::{
    plan::{GuardError, OutOfOrder},
    run::{RunId, RunOutcome},
};
use datalake_store::error::StoreError;
use datalake_table::error::TableError;

use crate::declaration::DeclarationError;

/// The cause in addition, if the declaration changed.
const CHANGED_DECLARATION: &str = "; the declaration differs from that of the table: rows of rejected sources would be removed, too; correct the declaration or the sources";

/// Why a run failed. The report shows whether it committed before.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A request to the store failed after its retries.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The table could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The run has no valid declaration of its sources.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
    /// A guard blocked the run.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A guard blocked the run because of the rows that it would remove.
    #[error("{}{}", .guard.message_for(.rows), if *.rejected > 0 { CHANGED_DECLARATION } else { "" })]
    Removals {
        /// What the guard found.
        guard: GuardError,
        /// The rows of the dataset in the plural.
        rows: Box<str>,
        /// How many of them have a source that a changed declaration rejects.
        rejected: u64,
    },
    /// The store does not list keys in order.
    #[error(transparent)]
    OutOfOrder(#[from] OutOfOrder),
    /// Other runs committed first in each attempt.
    #[error("other runs kept committing first, {attempts} times; run it again")]
    Contended {
        /// The attempts of this run.
        attempts: u32,
    },
    /// A first run could not read any row, because the sources were gone or had other ETags than in the listing.
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
    /// The run that `allow_mass_delete_of` names reported no blocked removals.
    #[error(
        "run {run_id} reported no blocked removals, or its report is gone; pass the ID of a run that the guard against mass deletion stopped"
    )]
    NoBlockedRun {
        /// The named run.
        run_id: RunId,
    },
    /// The store created an existing object again, or it does not support the condition. Two runs could overwrite each other's commit.
    #[error(
        "this store does not support conditional creates (If-None-Match: *), so concurrent runs could lose rows; use another store, or \
         pass --single-writer and make sure that only one run is active"
    )]
    NoCreateIfAbsent {
        /// The store's error; none if it ignored the condition.
        source: Option<StoreError>,
    },
    /// The run was cancelled.
    #[error("a signal stopped the run")]
    Stopped,
}

impl RunError {
    /// The outcome of a run that failed with this error.
    pub fn outcome(&self) -> RunOutcome {
        match self {
            Self::Store(StoreError::Denied { .. } | StoreError::Invalid { .. })
            | Self::NoCreateIfAbsent { .. }
            | Self::NoBlockedRun { .. }
            | Self::Declaration(_) => RunOutcome::Misconfigured,
            Self::Table(TableError::Store(StoreError::Denied { .. } | StoreError::Invalid { .. })) => RunOutcome::Misconfigured,
            // Retrying will not help: the table stays damaged, and the store keeps listing keys out of order.
            Self::Table(TableError::Unsupported { .. } | TableError::Corrupt { .. }) | Self::OutOfOrder(_) => RunOutcome::Misconfigured,
            Self::Store(_) | Self::Table(_) | Self::Contended { .. } | Self::Unread { .. } | Self::TableGone => RunOutcome::Failed,
            Self::Guard(_) | Self::Removals { .. } => RunOutcome::Blocked,
            Self::Stopped => RunOutcome::Stopped,
        }
    }
}
