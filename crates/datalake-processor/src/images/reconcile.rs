//! Reconciles image copies with the newest rows, after the commit.

use std::collections::{BTreeMap, BTreeSet};

use datalake_core::{dataset::Dataset, row::Row, row_id::RowId};
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

use super::copies::{self, IMAGES_IN_FLIGHT_MAX};
use crate::{error::RunError, image_budget::ImageBudget};

/// Copies per fence: with 64 requests in flight of 20 ms each they take seconds, and a fence lasts minutes.
const COPIES_PER_FENCE: usize = 2_000;

/// Fences that expire in a row before giving up. Each means that the process was paused for minutes, or that the store took as long.
const FENCES_MAX: u32 = 8;

/// Newer versions found before giving up. Each is a commit during the reconciliation.
const VERSIONS_MAX: u32 = 16;

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
    /// IDs whose row links an image that is in neither the copy nor the source.
    pub(crate) lost: BTreeSet<RowId>,
}

/// Reconciles the copies of `ids` with the rows of `version` or a later version. The copies of `unchecked` IDs were made for `version` by this
/// run, and are not checked while it is the newest.
pub(crate) async fn reconcile(
    table: &Table,
    version: &Version,
    ids: &BTreeMap<RowId, UnlinkedCopy>,
    unchecked: &BTreeSet<RowId>,
) -> Result<Reconciled, RunError> {
    let mut reconciled = Reconciled {
        version: version.clone(),
        removed: 0,
        lost: BTreeSet::new(),
    };
    let mut pending: Vec<(&RowId, UnlinkedCopy)> = ids
        .iter()
        .filter(|(row_id, _)| !unchecked.contains(*row_id))
        .map(|(row_id, unlinked)| (row_id, *unlinked))
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
        if ids.is_empty() {
            return Ok(reconciled);
        }
        pending = ids.iter().map(|(row_id, unlinked)| (row_id, *unlinked)).collect();
    }
    Err(RunError::Contended { attempts: VERSIONS_MAX })
}

async fn reconcile_chunk(table: &Table, chunk: &[(&RowId, UnlinkedCopy)], reconciled: &mut Reconciled) -> Result<(), RunError> {
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
        let ids: Vec<RowId> = chunk.iter().map(|(row_id, _)| (*row_id).clone()).collect();
        let rows = table.rows_of(&reconciled.version, &ids).await?;
        let (budget, dataset) = (ImageBudget::default(), reconciled.version.dataset());
        let outcomes: Result<Vec<Outcome>, StoreError> = stream::iter(chunk)
            .map(|(row_id, unlinked)| reconcile_user(view, &budget, dataset, row_id, rows.get(*row_id), *unlinked))
            .buffered(IMAGES_IN_FLIGHT_MAX)
            .try_collect()
            .await;
        match outcomes {
            Ok(outcomes) => {
                for (outcome, (row_id, _)) in outcomes.into_iter().zip(chunk) {
                    match outcome {
                        Outcome::Reconciled => {}
                        Outcome::Removed => reconciled.removed += 1,
                        Outcome::Lost => drop(reconciled.lost.insert((*row_id).clone())),
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

async fn reconcile_user(
    bucket: &dyn Bucket,
    budget: &ImageBudget,
    dataset: &Dataset,
    row_id: &RowId,
    row: Option<&Row>,
    unlinked: UnlinkedCopy,
) -> Result<Outcome, StoreError> {
    match (row.and_then(|row| row.file(0)), unlinked) {
        (Some(image), _) => {
            if copies::has_copy(bucket, dataset, row_id, image).await? || copies::restore(bucket, budget, dataset, row_id, image).await? {
                return Ok(Outcome::Reconciled);
            }
            // Another run may have copied it between the check and the copy that failed.
            Ok(match copies::has_copy(bucket, dataset, row_id, image).await? {
                true => Outcome::Reconciled,
                false => Outcome::Lost,
            })
        }
        (None, UnlinkedCopy::Remove) => Ok(match copies::remove(bucket, dataset, row_id).await? {
            true => Outcome::Removed,
            false => Outcome::Reconciled,
        }),
        (None, UnlinkedCopy::Keep) => Ok(Outcome::Reconciled),
    }
}
