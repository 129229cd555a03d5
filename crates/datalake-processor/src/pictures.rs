//! Brings copied pictures in line with the sources: before the commit those that it links, after it those that it unlinked.

use std::collections::BTreeMap;

use datalake_core::{keys, plan::SourceObject, row::Row, user::UserId};
use datalake_store::{
    bucket::{Bucket, Etag, Metadata},
    error::StoreError,
};
use datalake_table::{table::Table, version::Version};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    apply::{self, Picture},
    error::RunError,
    read::{ImageRead, Reader, UserRead},
    run::Progress,
};

/// Copies and removals in flight: the store moves the bytes, so that only latency counts.
pub(crate) const PICTURES_IN_FLIGHT_MAX: usize = 64;

/// The source's tag, kept with its copy: where a store gives a copy another tag, this tells what it is a copy of.
pub(crate) const SOURCE_ETAG: &str = "source-etag";

/// Copies each picture that a row will link, and says what became of every user's, in the order of `reads`.
pub(crate) async fn settle(
    bucket: &dyn Bucket,
    reader: &Reader<'_>,
    old_rows: &BTreeMap<UserId, Row>,
    reads: &[UserRead],
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Picture>, StoreError> {
    let total = reads.len();
    let mut pictures = Vec::with_capacity(total);
    let mut settled = stream::iter(reads)
        .map(|read| settle_one(bucket, reader, old_rows, read))
        .buffered(PICTURES_IN_FLIGHT_MAX);
    while let Some(picture) = settled.try_next().await? {
        pictures.push(picture);
        progress(Progress::Copied {
            users: pictures.len(),
            total,
        });
    }
    Ok(pictures)
}

async fn settle_one(
    bucket: &dyn Bucket,
    reader: &Reader<'_>,
    old_rows: &BTreeMap<UserId, Row>,
    read: &UserRead,
) -> Result<Picture, StoreError> {
    let (digest, object) = match &read.image {
        // A rejected picture leaves the previous good one linked.
        ImageRead::Same | ImageRead::Rejected { .. } => return Ok(Picture::Kept),
        ImageRead::Gone => return Ok(Picture::Gone),
        ImageRead::Good { .. } if !apply::has_row_after(old_rows, read) => return Ok(Picture::Kept),
        ImageRead::Good { digest, object } => (digest, object),
    };
    let copy_key = keys::image(read.user_id.as_str());
    // The copy may be that of a run that died before it committed: then the picture is another than the row's, though the bytes are there.
    if let Some(linked) = old_rows.get(&read.user_id).and_then(|row| row.image.as_ref())
        && let Some(metadata) = reader.holds(&copy_key, object.size, digest).await?
        && metadata.get(SOURCE_ETAG).is_some_and(|etag| **etag == *linked.etag)
    {
        return Ok(Picture::Confirmed(object.provenance()));
    }
    match copy(bucket, object, &copy_key).await {
        Ok(()) => Ok(Picture::Copied(object.provenance())),
        // Replaced or removed since it was read: the next run sees it, and until then the picture is as it was.
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(Picture::Kept),
        Err(error) => Err(error),
    }
}

/// Copies a source picture within the store, as long as it is the one that was listed.
pub(crate) async fn copy(bucket: &dyn Bucket, object: &SourceObject, copy_key: &str) -> Result<(), StoreError> {
    let metadata = Metadata::from([(SOURCE_ETAG.to_owned(), object.etag.to_string())]);
    bucket
        .copy(&object.key, &Etag::new(&object.etag), copy_key, &metadata)
        .await
        .map(drop)
}

/// Copies again those of the pictures just linked whose copies are gone: a run that unlinked them earlier may have removed one after it
/// was copied and before it was linked. That run looks at the table again after its removals, and this one at the copies after its commit,
/// so that one of the two sees it.
pub(crate) async fn verify_linked(bucket: &dyn Bucket, table: &Table, version: &Version, linked: &[UserId]) -> Result<(), RunError> {
    let mut missing: Vec<UserId> = stream::iter(linked)
        .map(|user_id| is_missing(bucket, user_id))
        .buffer_unordered(PICTURES_IN_FLIGHT_MAX)
        .try_filter_map(async |missing| Ok(missing))
        .try_collect()
        .await?;
    missing.sort_unstable();
    restore_linked(bucket, table, version, &missing).await
}

async fn is_missing(bucket: &dyn Bucket, user_id: &UserId) -> Result<Option<UserId>, StoreError> {
    match bucket.head(&keys::image(user_id.as_str())).await {
        Ok(_) => Ok(None),
        Err(StoreError::NotFound { .. }) => Ok(Some(user_id.clone())),
        Err(error) => Err(error),
    }
}

/// Copies the pictures that the newest version links of these users, who are sorted.
pub(crate) async fn restore_linked(bucket: &dyn Bucket, table: &Table, version: &Version, user_ids: &[UserId]) -> Result<(), RunError> {
    if user_ids.is_empty() {
        return Ok(());
    }
    let newer = table.newer_than(version).await?;
    for row in table.rows_of(newer.as_ref().unwrap_or(version), user_ids).await?.into_values() {
        restore(bucket, &row).await?;
    }
    Ok(())
}

/// Removes the copies of pictures that `version` unlinked, and gives their number. Where a newer version has linked one again meanwhile,
/// its copy may be the one that was removed: it is copied again.
pub(crate) async fn remove_unlinked(bucket: &dyn Bucket, table: &Table, version: &Version, unlinked: &[UserId]) -> Result<u64, RunError> {
    if unlinked.is_empty() {
        return Ok(0);
    }
    let removed = stream::iter(unlinked)
        .map(|user_id| remove(bucket, keys::image(user_id.as_str())))
        .buffer_unordered(PICTURES_IN_FLIGHT_MAX)
        .try_fold(0, async |removed, one| Ok(removed + one))
        .await?;
    let mut linked_again: Vec<UserId> = unlinked.to_vec();
    linked_again.sort_unstable();
    restore_linked(bucket, table, version, &linked_again).await?;
    Ok(removed)
}

async fn remove(bucket: &dyn Bucket, copy_key: String) -> Result<u64, StoreError> {
    let gone = |error| match error {
        StoreError::NotFound { .. } | StoreError::Conflict { .. } => Ok(0),
        error => Err(error),
    };
    match bucket.head(&copy_key).await {
        Ok(head) => bucket.delete(&copy_key, Some(&head.meta.etag)).await.map(|()| 1).or_else(gone),
        Err(error) => gone(error),
    }
}

/// Copies the picture that a row links, where its source is still the one that the row recorded. Otherwise the next run sees the change.
pub(crate) async fn restore(bucket: &dyn Bucket, row: &Row) -> Result<bool, StoreError> {
    let Some(image) = &row.image else { return Ok(false) };
    for key in keys::image_sources(&row.user_id) {
        let object = SourceObject {
            key: key.into(),
            etag: image.etag.clone(),
            size: image.size,
            modified: image.modified,
        };
        match copy(bucket, &object, &keys::image(row.user_id.as_str())).await {
            Ok(()) => return Ok(true),
            Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
