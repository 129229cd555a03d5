//! A write-ahead log of copies: which rows' copies a run is about to change.
//!
//! A run can die or be paused between its commit and a copy. Before its first copy it therefore records all rows whose files it links, replaces
//! or unlinks, and it clears the record once their copies match the newest rows. The next run reconciles the rows of all records that it finds.

use std::collections::{BTreeMap, BTreeSet};

use datalake_core::{keys, row_id::RowId, run::RunId};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
    unique_name::unique_name,
};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};

use super::reconcile::UnlinkedCopy;
use crate::error::RunError;

/// The run of an older record is dead, or its requests have expired: its links are in the table, and the copies that it unlinked can be removed.
const INTENT_AGE_MAX: SignedDuration = SignedDuration::from_hours(1);

/// A record contains IDs: 64 MiB are a million of the maximum length.
const INTENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The record of one process, which may write it several times.
#[derive(Debug)]
pub(crate) struct CopyIntents {
    key: String,
    ids: BTreeSet<RowId>,
}

impl CopyIntents {
    /// Nothing is written yet.
    pub(crate) fn new(run_id: &RunId) -> Self {
        let unique = if simulation::has(Bug::IntentsAreNamedByRun) {
            "run".into()
        } else {
            unique_name().to_string()
        };
        Self {
            key: keys::image_intent(run_id, &unique),
            ids: BTreeSet::new(),
        }
    }

    /// The rows recorded so far.
    pub(crate) fn ids(&self) -> &BTreeSet<RowId> {
        &self.ids
    }

    /// Adds rows before their copies change.
    pub(crate) async fn record(&mut self, bucket: &dyn Bucket, ids: impl IntoIterator<Item = RowId>) -> Result<(), StoreError> {
        let before = self.ids.len();
        self.ids.extend(ids);
        if self.ids.len() == before || simulation::has(Bug::NoImageIntent) {
            return Ok(());
        }
        let ids: Vec<_> = self.ids.iter().map(RowId::as_str).collect();
        let text = serde_json::to_vec(&ids).expect("a list of strings is JSON");
        bucket
            .put(&self.key, text.into(), PutMode::Replace, &Metadata::new())
            .await
            .map(drop)
    }

    /// Removes the record, once the copies of its rows are reconciled.
    pub(crate) async fn clear(&mut self, bucket: &dyn Bucket) -> Result<(), StoreError> {
        if std::mem::take(&mut self.ids).is_empty() {
            return Ok(());
        }
        bucket.delete(&self.key, None).await
    }

    /// Reads the records of other processes, at the store's time `now`.
    pub(crate) async fn others(&self, bucket: &dyn Bucket, now: Timestamp) -> Result<OtherIntents, RunError> {
        let mut others = OtherIntents::default();
        let mut listed = bucket.list(keys::IMAGE_INTENTS, None);
        while let Some(object) = listed.try_next().await? {
            if object.key == self.key {
                continue;
            }
            let is_expired = now.duration_since(object.modified) > INTENT_AGE_MAX;
            // A run that may still be active can commit the link to a copy that no row links yet.
            let unlinked = match is_expired || simulation::has(Bug::ReconcileRemovesForYoungIntents) {
                true => UnlinkedCopy::Remove,
                false => UnlinkedCopy::Keep,
            };
            for row_id in read_ids(bucket, &object.key, object.size).await? {
                let entry = others.ids.entry(row_id).or_insert(unlinked);
                *entry = unlinked.max(*entry);
            }
            let is_kept = simulation::has(Bug::ExpiredIntentsStay);
            if is_expired && !is_kept || simulation::has(Bug::OtherIntentsAreRemovedAtOnce) {
                others.expired.push(object.key);
            }
        }
        Ok(others)
    }
}

/// The intents of other processes.
#[derive(Debug, Default)]
pub(crate) struct OtherIntents {
    /// The rows of all records.
    pub(crate) ids: BTreeMap<RowId, UnlinkedCopy>,
    /// The keys of the records to remove once their rows are reconciled.
    pub(crate) expired: Vec<String>,
}

/// The rows of a record. None if it was removed after it was listed, or is not readable: the daily comparison of all copies covers those rows.
async fn read_ids(bucket: &dyn Bucket, key: &str, size: u64) -> Result<Vec<RowId>, StoreError> {
    if size > INTENT_BYTES_MAX {
        return Ok(Vec::new());
    }
    let bytes = match bucket.get(key, None, None).await {
        Ok(object) => object.bytes,
        Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let ids: Vec<String> = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(ids.iter().filter_map(|id| RowId::parse(id).ok()).collect())
}
