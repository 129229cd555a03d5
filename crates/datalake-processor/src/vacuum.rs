//! The daily vacuum: files that nobody names are removed, and copied pictures are compared with the table, both ways.

use std::cmp::Ordering;

use bytes::Bytes;
use datalake_core::{
    keys,
    plan::{self, Known, Seen},
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, Metadata, ObjectMeta, PutMode},
    error::StoreError,
};
use datalake_table::{table::Table, version::Version};
use futures_util::{StreamExt, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};

use crate::{error::RunError, known::KnownUsers, pictures};

/// Between two vacuums.
const PERIOD: SignedDuration = SignedDuration::from_hours(24);

/// A copy that nobody links may belong to a run that has not committed yet. No run takes a day.
const ORPHAN_AGE_MIN: SignedDuration = SignedDuration::from_hours(24);

/// Cleans up if the last time is a day ago, by the store's clock against `now`. The first run of a table only notes the time.
pub(crate) async fn vacuum_daily(bucket: &dyn Bucket, table: &Table, version: &Version, now: Timestamp) -> Result<(), RunError> {
    match bucket.head(keys::LAST_VACUUM).await {
        Ok(head) if now.duration_since(head.meta.modified) < PERIOD => return Ok(()),
        Ok(_) => {
            let files = table.vacuum(now).await?;
            let images = mend_images(bucket, table, version, now).await?;
            tracing::info!(
                segments_removed = files.segments_removed,
                refusals_removed = files.refusals_removed,
                images_restored = images.restored,
                images_removed = images.removed,
                "cleaned up"
            );
        }
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let note = serde_json::json!({ "vacuumed_at": now }).to_string();
    bucket
        .put(keys::LAST_VACUUM, Bytes::from(note), PutMode::Replace, &Metadata::new())
        .await?;
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct MendedImages {
    restored: u64,
    removed: u64,
}

/// Restores copies that are missing or not of the linked picture, and removes those that nobody links.
///
/// Copies are listed in the order of their keys, which is the rank order of their users.
async fn mend_images(bucket: &dyn Bucket, table: &Table, version: &Version, now: Timestamp) -> Result<MendedImages, RunError> {
    let mut mended = MendedImages::default();
    let mut restores: Vec<UserId> = Vec::new();
    let mut orphans: Vec<UserId> = Vec::new();
    let mut copies = Copies {
        objects: bucket.list(keys::IMAGES, None),
    };
    let mut users = KnownUsers::new(table, Some(version), &[]).await?;
    let mut copy = copies.next().await?;
    let mut user = next_with_image(&mut users).await?;
    loop {
        let order = match (&copy, &user) {
            (Some((copied, _)), Some((user_id, _))) => plan::next_in_rank(copied, user_id),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        match (order, &copy, &user) {
            (Ordering::Less, Some((user_id, object)), _) if remove_orphan(bucket, object, now).await? => orphans.push(user_id.clone()),
            (Ordering::Greater, _, Some((user_id, _))) => restores.push(user_id.clone()),
            (Ordering::Equal, Some((_, object)), Some((user_id, image))) if !is_copy_of(bucket, object, image).await? => {
                restores.push(user_id.clone());
            }
            _ => {}
        }
        if order.is_le() {
            copy = copies.next().await?;
        }
        if order.is_ge() {
            user = next_with_image(&mut users).await?;
        }
    }
    mended.removed = u64::try_from(orphans.len()).unwrap_or(u64::MAX);
    orphans.sort_unstable();
    pictures::restore_linked(bucket, table, version, &orphans).await?;
    restores.sort_unstable();
    for row in table.rows_of(version, &restores).await?.into_values() {
        mended.restored += u64::from(pictures::restore(bucket, &row).await?);
    }
    Ok(mended)
}

struct Copies {
    objects: BoxStream<'static, Result<ObjectMeta, StoreError>>,
}

impl Copies {
    /// The next object that is named like somebody's copy.
    async fn next(&mut self) -> Result<Option<(UserId, ObjectMeta)>, StoreError> {
        while let Some(object) = self.objects.next().await.transpose()? {
            if let Some(user_id) = keys::parse_image(&object.key) {
                return Ok(Some((user_id, object)));
            }
        }
        Ok(None)
    }
}

async fn next_with_image(users: &mut KnownUsers<'_>) -> Result<Option<(UserId, Seen)>, RunError> {
    while let Some(Known { user_id, image, .. }) = users.next().await? {
        if let Some(image) = image {
            return Ok(Some((user_id, image)));
        }
    }
    Ok(None)
}

async fn is_copy_of(bucket: &dyn Bucket, copy: &ObjectMeta, image: &Seen) -> Result<bool, StoreError> {
    if copy.size != image.size {
        return Ok(false);
    }
    if copy.etag.as_str() == &*image.etag {
        return Ok(true);
    }
    // Where a store gives a copy another tag, the copy's metadata has the source's.
    match bucket.head(&copy.key).await {
        Ok(head) => Ok(head.metadata.get(pictures::SOURCE_ETAG).is_some_and(|etag| **etag == *image.etag)),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn remove_orphan(bucket: &dyn Bucket, copy: &ObjectMeta, now: Timestamp) -> Result<bool, StoreError> {
    if now.duration_since(copy.modified) < ORPHAN_AGE_MIN {
        return Ok(false);
    }
    match bucket.delete(&copy.key, Some(&copy.etag)).await {
        Ok(()) => Ok(true),
        Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
