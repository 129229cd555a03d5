//! Removes the copies of files that an earlier declaration of the table made under other keys.

use std::sync::Arc;

use datalake_core::{count::count, dataset::Dataset, keys};
use datalake_store::{
    bucket::{Fenced, ObjectMeta},
    error::StoreError,
};
use datalake_table::{
    delta::{load::Newest, version::Version},
    table::Table,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{compare::UNLINKED_AGE_MIN, copies::COPIES_IN_FLIGHT_MAX};
use crate::error::RunError;

/// Copies per fence: removing them takes seconds, and a fence lasts minutes.
const COPIES_PER_FENCE: usize = 2_000;

/// Fences that expire in a row before giving up. Each means that the process was paused for minutes, or that the store took as long.
const FENCES_MAX: u32 = 8;

/// Removes the copies of the `former` declarations whose keys that of the newest version does not use, and returns their number. A young copy may
/// belong to a run that changes the declaration back, and has not committed yet.
pub(crate) async fn remove(table: &Table, version: &Version, former: &[Arc<Dataset>]) -> Result<u64, RunError> {
    let (mut version, mut removed) = (version.clone(), 0);
    for file in former.iter().flat_map(|dataset| dataset.files()) {
        let Some(copy_to) = &file.copy_to else { continue };
        let is_copy = |object: &ObjectMeta| keys::parse_copy(file, &object.key).is_some();
        let copies = table.bucket().list(copy_to.folder(), None);
        let copies = copies.try_filter(|object| std::future::ready(is_copy(object)));
        let mut chunks = copies.try_chunks(COPIES_PER_FENCE);
        while let Some(chunk) = chunks.try_next().await.map_err(|error| error.1)? {
            removed += remove_chunk(table, &mut version, &chunk).await?;
        }
    }
    Ok(removed)
}

async fn remove_chunk(table: &Table, version: &mut Version, copies: &[ObjectMeta]) -> Result<u64, RunError> {
    for _ in 0..FENCES_MAX {
        // Created before the version is read: a process that is paused after that removes nothing by an outdated declaration. Its time is later than
        // the listing, so copies that are written after the store's clock was set back are young.
        let Fenced { bucket, store_time } = table.bucket().fenced().await?;
        match table.newest(version).await? {
            Newest::Unchanged => {}
            Newest::Other(newer) => *version = newer,
            Newest::NoTable => return Err(RunError::TableGone),
        }
        let is_unused = |object: &&ObjectMeta| {
            let is_old = store_time.duration_since(object.modified) >= UNLINKED_AGE_MIN;
            let mut files = version.dataset().files().iter();
            is_old && files.all(|file| keys::parse_copy(file, &object.key).is_none())
        };
        let removals: Result<Vec<bool>, StoreError> = stream::iter(copies.iter().filter(is_unused))
            .map(|object| async { is_removed(bucket.delete(&object.key, Some(&object.etag)).await) })
            .buffer_unordered(COPIES_IN_FLIGHT_MAX)
            .try_collect()
            .await;
        match removals {
            Ok(removals) => return Ok(count(removals.into_iter().filter(|is_removed| *is_removed).count())),
            Err(StoreError::Expired { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RunError::Contended { attempts: FENCES_MAX })
}

/// Whether a copy was removed. It may have been removed or replaced since the listing.
fn is_removed(deleted: Result<(), StoreError>) -> Result<bool, StoreError> {
    match deleted {
        Ok(()) => Ok(true),
        Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
