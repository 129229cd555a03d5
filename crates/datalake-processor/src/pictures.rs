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
    read::{self, ImageDigest, ImageRead, UserRead},
    run::Progress,
};

/// Copies and removals in flight: the store moves the bytes, so that only latency counts.
pub(crate) const PICTURES_IN_FLIGHT_MAX: usize = 64;

/// The source's tag, kept with its copy: where a store gives a copy another tag, this tells what it is a copy of.
pub(crate) const SOURCE_ETAG: &str = "source-etag";

/// Copies each picture that a row will link, and says what became of every user's, in the order of `reads`.
pub(crate) async fn settle(
    bucket: &dyn Bucket,
    old_rows: &BTreeMap<UserId, Row>,
    reads: &[UserRead],
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Picture>, StoreError> {
    let total = reads.len();
    let mut pictures = Vec::with_capacity(total);
    let mut settled = stream::iter(reads)
        .map(|read| settle_one(bucket, old_rows, read))
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

async fn settle_one(bucket: &dyn Bucket, old_rows: &BTreeMap<UserId, Row>, read: &UserRead) -> Result<Picture, StoreError> {
    let (digest, object) = match &read.image {
        // A rejected picture leaves the previous good one linked.
        ImageRead::Same | ImageRead::Rejected { .. } => return Ok(Picture::Kept),
        ImageRead::Gone => return Ok(Picture::Gone),
        ImageRead::Good { .. } if !apply::has_row_after(old_rows, read) => return Ok(Picture::Kept),
        ImageRead::Good { digest, object } => (digest, object),
    };
    let copy_key = keys::image(read.user_id.as_str());
    let has_copy = old_rows.get(&read.user_id).is_some_and(|row| row.image.is_some());
    if has_copy && holds(bucket, &copy_key, digest).await? {
        return Ok(Picture::Confirmed(object.provenance()));
    }
    match copy(bucket, object, &copy_key).await {
        Ok(()) => Ok(Picture::Copied(object.provenance())),
        // Replaced or removed since it was read: the next run sees it, and until then the picture is as it was.
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(Picture::Kept),
        Err(error) => Err(error),
    }
}

async fn holds(bucket: &dyn Bucket, key: &str, digest: &ImageDigest) -> Result<bool, StoreError> {
    match bucket.get(key, None, None).await {
        Ok(object) => Ok(read::digest(&object.bytes) == *digest),
        Err(StoreError::NotFound { .. }) => Ok(false),
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
    if let Some(newer) = table.newer_than(version).await? {
        let mut linked_again: Vec<UserId> = unlinked.to_vec();
        linked_again.sort_unstable();
        for row in table.rows_of(&newer, &linked_again).await?.into_values() {
            restore(bucket, &row).await?;
        }
    }
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
