//! Guards: conditions under which a run changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use datalake_core::{
    count::count,
    keys,
    plan::{self, GuardError, ListingStats},
    reject::{ExcludedSource, Exclusion, RejectCode},
    row::Row,
    row_id::RowId,
    run::{BlockedDeletions, EmptyFolder, RunId, RunReport},
};
use datalake_store::{
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::digest::Digest;

use crate::{
    error::RunError,
    read::{CsvRead, RowRead},
    run_state::RunContext,
};

/// Fails on a mass deletion, unless the operator allowed exactly the deletions that a blocked run reported. Reports the blocked deletions.
pub(crate) async fn check_deletions(
    context: &RunContext<'_>,
    stats: ListingStats,
    empty_folders: &[EmptyFolder],
    removals: Removals<'_>,
    report: &mut RunReport,
) -> Result<(), RunError> {
    let guard = context.options.deletion_guard;
    let Err(blocked) = plan::guard_deletions(stats, guard).and_then(|()| plan::guard_folders(empty_folders, guard)) else {
        return Ok(());
    };
    if stats.known <= 10 && simulation::has(Bug::GuardSparesSmallLakes) {
        return Ok(());
    }
    let Removals { mut gone, rejected } = removals;
    gone.sort_unstable();
    gone.dedup();
    let ids: String = gone.iter().flat_map(|row_id| [row_id.as_str(), "\n"]).collect();
    let deletions = BlockedDeletions {
        count: stats.gone,
        known: stats.known,
        rejected,
        digest: Digest::of(ids.as_bytes()).to_string(),
        users: gone.iter().take(RunReport::NOTICES_MAX).map(ToString::to_string).collect(),
        folders: empty_folders.to_vec(),
    };
    let error = match &context.options.allow_mass_delete_of {
        None => blocked,
        Some(run_id) => {
            let allowed = blocked_deletions_of(context, run_id).await?;
            // The digest covers the rows; the count also includes the rows of lost files.
            if (&allowed.digest, allowed.count, &allowed.folders) == (&deletions.digest, deletions.count, &deletions.folders) {
                return Ok(());
            }
            match blocked {
                GuardError::EmptyFolder(_) => blocked,
                _ => GuardError::OtherDeletions {
                    gone: stats.gone,
                    known: stats.known,
                },
            }
        }
    };
    report.blocked_deletions = Some(deletions);
    Err(RunError::Removals {
        guard: error,
        rows: context.dataset.rows_in_sentence().into(),
        rejected,
    })
}

async fn blocked_deletions_of(context: &RunContext<'_>, run_id: &RunId) -> Result<BlockedDeletions, RunError> {
    let none = || RunError::NoBlockedRun { run_id: run_id.clone() };
    let object = match context.bucket().get(&keys::run_report(run_id), None, None).await {
        Ok(object) => object,
        Err(StoreError::NotFound { .. }) => return Err(none()),
        Err(error) => return Err(error.into()),
    };
    let report: RunReport = serde_json::from_slice(&object.bytes).map_err(|_| none())?;
    report.blocked_deletions.ok_or_else(none)
}

/// The rows that a run would remove.
#[derive(Debug, Default)]
pub(crate) struct Removals<'a> {
    pub(crate) gone: Vec<&'a RowId>,
    /// How many of them have a source that a changed declaration rejects.
    pub(crate) rejected: u64,
}

impl<'a> Removals<'a> {
    /// IDs with a row or a rejected CSV before the run whose CSV is gone: not listed, or removed before it was read. If the declaration changed
    /// (`is_other`), also those whose CSV is rejected now.
    pub(crate) fn after_reading(
        rejects_before: &[ExcludedSource],
        old_rows: &BTreeMap<RowId, Row>,
        reads: &'a [RowRead],
        is_other: bool,
    ) -> Self {
        let rejected_before: BTreeSet<&RowId> = rejects_before
            .iter()
            .filter(|open| matches!(open.exclusion, Exclusion::Rejected(_)))
            .filter_map(|open| open.row_id.as_ref())
            .collect();
        let mut removals = Self::default();
        for RowRead { row_id, csv, .. } in reads {
            let is_rejected = matches!(csv, CsvRead::Rejected { .. }) && is_other;
            let is_gone = is_rejected || matches!(csv, CsvRead::Gone);
            if is_gone && (old_rows.contains_key(row_id) || rejected_before.contains(row_id)) {
                removals.gone.push(row_id);
                removals.rejected += u64::from(is_rejected);
            }
        }
        removals
    }
}

/// Fails if a first run could read none of its rows, because it would publish an empty table.
pub(crate) fn require_a_row(reads: &[RowRead], listed: u64) -> Result<(), RunError> {
    let is_unread = |read: &&RowRead| match &read.csv {
        CsvRead::Gone => true,
        CsvRead::Rejected { reject, .. } => reject.code == RejectCode::Unstable,
        CsvRead::Same | CsvRead::Valid { .. } => false,
    };
    let unread = count(reads.iter().filter(is_unread).count());
    let has_users = reads.iter().any(|read| matches!(read.csv, CsvRead::Valid { .. }));
    match !has_users && unread.saturating_mul(2) > listed {
        true => Err(RunError::Unread { unread, listed }),
        false => Ok(()),
    }
}
