//! The copies of one run, from the first one to the last check.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use datalake_core::{
    dataset::Dataset,
    row::Row,
    row_id::RowId,
    run::{Counts, RunId},
};
use datalake_store::{
    bucket::Bucket,
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::{delta::version::Version, table::Table};
use jiff::Timestamp;

use super::{
    compare,
    copy_intents::CopyIntents,
    copy_new::{self, FileUpdate},
    copy_state::{self, CopyState},
    reconcile::{self, CopyId, Reconciled, UnlinkedCopy},
};
use crate::{
    error::RunError,
    options::OnProgress,
    read::{Reader, RowRead},
};

/// The copies that a run changes, in three phases: [`prepare`](Self::prepare) and [`record_updates`](Self::record_updates) before the
/// commit, [`after_commit`](Self::after_commit), and [`recover`](Self::recover) once a day. The first two are repeated in each attempt of the run.
#[derive(Debug)]
pub(crate) struct CopySync<'a> {
    table: &'a Table,
    dataset: &'a Arc<Dataset>,
    intents: CopyIntents,
    /// IDs whose files this attempt copied for the first version of the table.
    first_copies: BTreeSet<RowId>,
    /// IDs whose row links a file that is in neither the copy nor the source.
    lost: BTreeSet<RowId>,
}

/// What comparing all copies with the rows found and changed.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Copies that differed from their row.
    pub(crate) differing: usize,
    /// Copies removed.
    pub(crate) removed: u64,
    /// IDs whose sources have to be read again, because a file of theirs is in neither the copy nor the source.
    pub(crate) lost: BTreeSet<RowId>,
}

impl<'a> CopySync<'a> {
    /// Nothing is written yet.
    pub(crate) fn new(table: &'a Table, dataset: &'a Arc<Dataset>, run_id: &RunId) -> Self {
        Self {
            table,
            dataset,
            intents: CopyIntents::new(run_id),
            first_copies: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }

    /// IDs whose sources have to be read although the table recorded their ETags, because a file was lost in an earlier attempt.
    pub(crate) fn lost(&self) -> &BTreeSet<RowId> {
        &self.lost
    }

    /// Before the commit: records the rows whose copies will change, then copies the files that are newly linked. Returns how the files of each
    /// row change: rows in the order of `reads`, files in that of the declaration.
    pub(crate) async fn prepare(
        &mut self,
        reader: &Reader<'_>,
        base: Option<&Version>,
        old_rows: &BTreeMap<RowId, Row>,
        reads: &[RowRead],
        progress: &OnProgress,
    ) -> Result<Vec<Box<[FileUpdate]>>, StoreError> {
        let states = copy_state::find_all(reader, old_rows, reads).await?;
        if records_intents(base) && has_copies(self.dataset) {
            let changed = copy_state::rows_with_changes(old_rows, reads, &states);
            self.intents.record(self.bucket(), changed).await?;
        }
        // No other run removes copies before the first version exists, so these copies need no check after the commit.
        self.first_copies = reads
            .iter()
            .zip(&states)
            .filter(|(_, states)| base.is_none() && states.contains(&CopyState::New))
            .map(|(read, _)| read.row_id.clone())
            .collect();
        copy_new::copy_new(self.bucket(), self.dataset, reads, &states, progress).await
    }

    /// Before the commit, if there is one: records the rows that link another file or another version of its source.
    pub(crate) async fn record_updates(&mut self, base: Option<&Version>, ids: Vec<RowId>) -> Result<(), StoreError> {
        match records_intents(base) && has_copies(self.dataset) {
            true => self.intents.record(self.bucket(), ids).await,
            false => Ok(()),
        }
    }

    /// After the commit, at the store's time `now`: reconciles the copies of the rows of all intents with the rows of `newest` or a later version,
    /// and removes the intents that are done. `own` is the version that this run committed. Counts the copies that it removed.
    ///
    /// Returns the rows whose sources have to be read again in another attempt. The run's intents remain until there are none.
    pub(crate) async fn after_commit(
        &mut self,
        newest: Version,
        own: Option<&Version>,
        now: Timestamp,
        counts: &mut Counts,
    ) -> Result<(Version, BTreeSet<RowId>), RunError> {
        let bucket = self.bucket();
        let others = self.intents.others(bucket, now).await?;
        // A copy that was made for the first version needs no check, unless another run recorded the same row or committed since.
        let unchecked: BTreeSet<RowId> = match own {
            Some(own) if own.id() == newest.id() => {
                let is_unchecked = |row_id: &&RowId| !others.ids.contains_key(*row_id);
                self.first_copies.iter().filter(is_unchecked).cloned().collect()
            }
            _ => BTreeSet::new(),
        };
        let mut ids = others.ids;
        ids.extend(self.intents.ids().iter().map(|row_id| (row_id.clone(), UnlinkedCopy::Remove)));
        let (mut version, mut lost) = (newest, BTreeSet::new());
        let mut copies = BTreeMap::new();
        for (row_id, unlinked) in &ids {
            copies.extend(CopyId::of_row(version.dataset(), row_id).map(|copy| (copy, *unlinked)));
        }
        if !copies.is_empty() {
            let reconciled = reconcile::reconcile(self.table, &version, &copies, &unchecked).await?;
            counts.images_removed += reconciled.removed;
            (version, lost) = (reconciled.version, reconciled.lost);
        }
        for key in others.expired {
            bucket.delete(&key, None).await?;
        }
        let lost = self.add_lost(&lost);
        if lost.is_empty() {
            self.intents.clear(bucket).await?;
        }
        Ok((version, lost))
    }

    /// Once a day, at the store's time `now`: compares all copies with the rows of `version`, and reconciles those that differ. This finds what no
    /// intent records, such as a copy that another program removed.
    pub(crate) async fn recover(&mut self, version: &Version, now: Timestamp) -> Result<Recovered, RunError> {
        let differing = compare::find_differing(self.table, version, now).await?;
        self.intents
            .record(self.bucket(), differing.keys().map(|copy| copy.row_id.clone()))
            .await?;
        let Reconciled { removed, lost, .. } = reconcile::reconcile(self.table, version, &differing, &BTreeSet::new()).await?;
        self.intents.clear(self.bucket()).await?;
        Ok(Recovered {
            differing: differing.len(),
            removed,
            lost: self.add_lost(&lost),
        })
    }

    /// Returns the rows that are lost for the first time. The source of the others was already read again in this run: its next change is for the
    /// next run.
    fn add_lost(&mut self, found: &BTreeSet<RowId>) -> BTreeSet<RowId> {
        let added: BTreeSet<RowId> = found.difference(&self.lost).cloned().collect();
        self.lost.extend(added.iter().cloned());
        added
    }

    fn bucket(&self) -> &'a dyn Bucket {
        self.table.bucket().as_ref()
    }
}

/// Whether the dataset has a file that is copied.
pub(crate) fn has_copies(dataset: &Dataset) -> bool {
    dataset.copied_files().next().is_some()
}

fn records_intents(base: Option<&Version>) -> bool {
    base.is_some() || !simulation::has(Bug::IntentsOfFirstRunsAreSkipped)
}
