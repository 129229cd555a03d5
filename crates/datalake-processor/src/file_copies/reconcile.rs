//! Reconciles copies with the newest rows, after the commit.

use std::collections::{BTreeMap, BTreeSet};

use datalake_core::{
    dataset::{Dataset, FileColumn},
    row::Provenance,
    row_id::RowId,
};
use datalake_store::{
    bucket::Bucket,
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::{
    delta::{load::Newest, version::Version},
    table::Table,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::copies::{self, COPIES_IN_FLIGHT_MAX};
use crate::{error::RunError, file_budget::FileBudget};

/// Copies per fence: with 64 requests in flight of 20 ms each they take seconds, and a fence lasts minutes.
const COPIES_PER_FENCE: usize = 2_000;

/// Fences that expire in a row before giving up. Each means that the process was paused for minutes, or that the store took as long.
const FENCES_MAX: u32 = 8;

/// Newer versions found before giving up. Each is a commit during the reconciliation.
const VERSIONS_MAX: u32 = 16;

/// Identifies a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CopyId {
    pub(crate) row_id: RowId,
    /// The index of the file in the declaration.
    pub(crate) file: usize,
}

impl CopyId {
    /// The copies of a row. None for an ID of an earlier declaration that has another number of values: the vacuum removes former copies.
    pub(crate) fn of_row<'a>(dataset: &'a Dataset, row_id: &'a RowId) -> impl Iterator<Item = Self> + 'a {
        let copied = dataset.copied_files().filter(|_| dataset.has_ids_like(row_id));
        copied.map(|(file, _)| Self {
            row_id: row_id.clone(),
            file,
        })
    }
}

/// What happens to a copy that its row does not link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum UnlinkedCopy {
    /// It is kept, because an active run may commit a link to it.
    Keep,
    /// It is removed.
    Remove,
}

/// The result of a reconciliation.
#[derive(Debug)]
pub(crate) struct Reconciled {
    /// The newest version, which the copies match.
    pub(crate) version: Version,
    /// Copies removed.
    pub(crate) removed: u64,
    /// IDs whose row links a file that is in neither the copy nor the source.
    pub(crate) lost: BTreeSet<RowId>,
}

/// Reconciles `copies` with the rows of `version` or a later version. The copies of `unchecked` IDs were made for `version` by this run, and are
/// not checked while it is the newest.
pub(crate) async fn reconcile(
    table: &Table,
    version: &Version,
    copies: &BTreeMap<CopyId, UnlinkedCopy>,
    unchecked: &BTreeSet<RowId>,
) -> Result<Reconciled, RunError> {
    let mut reconciled = Reconciled {
        version: version.clone(),
        removed: 0,
        lost: BTreeSet::new(),
    };
    let mut pending: Vec<(&CopyId, UnlinkedCopy)> = copies
        .iter()
        .filter(|(copy, _)| !unchecked.contains(&copy.row_id))
        .map(|(copy, unlinked)| (copy, *unlinked))
        .collect();
    for _ in 0..VERSIONS_MAX {
        reconciled.lost.clear();
        let started_at = reconciled.version.id();
        for chunk in pending.chunks(COPIES_PER_FENCE) {
            reconcile_chunk(table, chunk, &mut reconciled).await?;
        }
        if simulation::has(Bug::ReconcileSkipsRecheck) {
            return Ok(reconciled);
        }
        match table.newest(&reconciled.version).await? {
            Newest::Unchanged if reconciled.version.id() == started_at => return Ok(reconciled),
            Newest::Unchanged => {}
            Newest::NoTable => return Err(RunError::TableGone),
            // Rows may have changed while copies were made or removed.
            Newest::Other(newer) => reconciled.version = newer,
        }
        if copies.is_empty() {
            return Ok(reconciled);
        }
        pending = copies.iter().map(|(copy, unlinked)| (copy, *unlinked)).collect();
    }
    Err(RunError::Contended { attempts: VERSIONS_MAX })
}

async fn reconcile_chunk(table: &Table, chunk: &[(&CopyId, UnlinkedCopy)], reconciled: &mut Reconciled) -> Result<(), RunError> {
    let bucket = table.bucket().as_ref();
    for _ in 0..FENCES_MAX {
        // Created before the rows are read: a process that is paused after that cannot change a copy by outdated rows.
        let fenced = bucket.fenced().await?;
        let view = if simulation::has(Bug::ReconcileIsNotFenced) {
            bucket
        } else {
            fenced.bucket.as_ref()
        };
        match table.newest(&reconciled.version).await? {
            Newest::Unchanged => {}
            Newest::Other(newer) => reconciled.version = newer,
            Newest::NoTable => return Err(RunError::TableGone),
        }
        let mut ids: Vec<RowId> = chunk.iter().map(|(copy, _)| copy.row_id.clone()).collect();
        ids.dedup();
        let rows = table.rows_of(&reconciled.version, &ids).await?;
        let (budget, dataset) = (FileBudget::for_bytes(), reconciled.version.dataset());
        let outcomes: Result<Vec<Outcome>, StoreError> = stream::iter(chunk)
            .map(async |(CopyId { row_id, file }, unlinked)| {
                let linked = rows.get(row_id).and_then(|row| row.file(*file));
                match dataset.files().get(*file).filter(|file| file.copy_to.is_some()) {
                    Some(file) => reconcile_copy(view, &budget, file, row_id, linked, *unlinked).await,
                    // The newest declaration has no such copies.
                    None => Ok(Outcome::Reconciled),
                }
            })
            .buffered(COPIES_IN_FLIGHT_MAX)
            .try_collect()
            .await;
        match outcomes {
            Ok(outcomes) => {
                for (outcome, (copy, _)) in outcomes.into_iter().zip(chunk) {
                    match outcome {
                        Outcome::Reconciled => {}
                        Outcome::Removed => reconciled.removed += 1,
                        Outcome::Lost => drop(reconciled.lost.insert(copy.row_id.clone())),
                    }
                }
                return Ok(());
            }
            Err(StoreError::Expired { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RunError::Contended { attempts: FENCES_MAX })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Reconciled,
    Removed,
    Lost,
}

async fn reconcile_copy(
    bucket: &dyn Bucket,
    budget: &FileBudget,
    file: &FileColumn,
    row_id: &RowId,
    linked: Option<&Provenance>,
    unlinked: UnlinkedCopy,
) -> Result<Outcome, StoreError> {
    match (linked, unlinked) {
        (Some(linked), _) => {
            if copies::has_copy(bucket, file, row_id, linked).await? || copies::restore(bucket, budget, file, row_id, linked).await? {
                return Ok(Outcome::Reconciled);
            }
            // Another run may have copied it between the check and the copy that failed.
            Ok(match copies::has_copy(bucket, file, row_id, linked).await? {
                true => Outcome::Reconciled,
                false => Outcome::Lost,
            })
        }
        (None, UnlinkedCopy::Remove) => Ok(match copies::remove(bucket, file, row_id).await? {
            true => Outcome::Removed,
            false => Outcome::Reconciled,
        }),
        (None, UnlinkedCopy::Keep) => Ok(Outcome::Reconciled),
    }
}
