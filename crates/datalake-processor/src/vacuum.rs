//! The daily vacuum: files that nobody names are removed, copied pictures are compared with the table, both ways, and old reports go.
//!
//! What is old is told by the store's clock alone: a run's own may be off by a year, and would remove what is needed.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use bytes::Bytes;
use datalake_core::{
    keys,
    plan::{self, Known, Seen},
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, Head, Metadata, ObjectMeta, PutMode},
    error::StoreError,
};
use datalake_table::{table::Table, version::Version};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use jiff::{SignedDuration, Timestamp};

use crate::{error::RunError, known::KnownUsers, left, pictures};

/// Between two vacuums.
const PERIOD: SignedDuration = SignedDuration::from_hours(24);

/// A copy that nobody links may belong to a run that has not committed yet. No run takes a day.
const ORPHAN_AGE_MIN: SignedDuration = SignedDuration::from_hours(24);

/// Reports are kept so long: a quarter of a year of runs, 2,160 hourly ones.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

/// And at most so many, a run each 13 minutes of that time: `/runs` lists them all, ten pages, to find the newest.
const REPORTS_MAX: usize = 10_000;

/// Reports that one vacuum removes, some 10 MB of keys; the next one goes on.
const REPORTS_REMOVED_MAX: usize = 100_000;

/// Deletions are small requests.
const DELETIONS_IN_FLIGHT: usize = 8;

/// In the metadata of the vacuum's note, while it is under way: one that died or failed is done again by the next run.
const STATE: (&str, &str) = ("state", "begun");

/// Cleans up if the last time is a day ago. The first run of a table only notes the time. `now` only tells whether it is time.
pub(crate) async fn vacuum_daily(bucket: &dyn Bucket, table: &Table, version: &Version, now: Timestamp) -> Result<(), RunError> {
    let (name, begun) = STATE;
    let is_done = |head: &Head| head.metadata.get(name).is_none_or(|state| state != begun);
    match bucket.head(keys::LAST_VACUUM).await {
        Ok(head) if is_done(&head) && now.duration_since(head.meta.modified) < PERIOD => return Ok(()),
        Ok(_) => {
            note(bucket, now, &Metadata::from([(name.to_owned(), begun.to_owned())])).await?;
            let now = bucket.head(keys::LAST_VACUUM).await?.meta.modified;
            vacuum(bucket, table, version, now).await?;
        }
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    note(bucket, now, &Metadata::new()).await
}

async fn note(bucket: &dyn Bucket, now: Timestamp, metadata: &Metadata) -> Result<(), RunError> {
    let note = Bytes::from(serde_json::json!({ "vacuumed_at": now }).to_string());
    bucket.put(keys::LAST_VACUUM, note, PutMode::Replace, metadata).await?;
    Ok(())
}

async fn vacuum(bucket: &dyn Bucket, table: &Table, version: &Version, now: Timestamp) -> Result<(), RunError> {
    let files = table.vacuum(now).await?;
    let images = mend_images(bucket, table, version, now).await?;
    let reports_removed = remove_old_reports(bucket, now).await?;
    left::forget(bucket, now.saturating_sub(ORPHAN_AGE_MIN).unwrap_or(Timestamp::MIN)).await?;
    tracing::info!(
        segments_removed = files.segments_removed,
        refusals_removed = files.refusals_removed,
        images_restored = images.restored,
        images_removed = images.removed,
        reports_removed,
        "cleaned up"
    );
    Ok(())
}

/// Removes the reports of runs that are too old or too many, and gives their number.
async fn remove_old_reports(bucket: &dyn Bucket, now: Timestamp) -> Result<usize, StoreError> {
    let mut kept = BinaryHeap::new();
    let mut doomed = Vec::new();
    let mut reports = bucket.list(keys::RUNS, None);
    while let Some(report) = reports.try_next().await? {
        if keys::parse_run_report(&report.key).is_none() {
            continue;
        }
        if now.duration_since(report.modified) > REPORT_AGE_MAX {
            doomed.push(report.key);
        } else {
            kept.push(Reverse((report.modified, report.key)));
            let oldest = if kept.len() > REPORTS_MAX { kept.pop() } else { None };
            doomed.extend(oldest.map(|Reverse((_, key))| key));
        }
        if doomed.len() >= REPORTS_REMOVED_MAX {
            break;
        }
    }
    let removed = doomed.len();
    stream::iter(doomed)
        .map(|key| async move { bucket.delete(&key, None).await })
        .buffer_unordered(DELETIONS_IN_FLIGHT)
        .try_collect::<()>()
        .await?;
    Ok(removed)
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
            (Ordering::Equal, Some((_, object)), Some((user_id, image))) if !pictures::is_copy_of(bucket, object, image).await? => {
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
