//! What a run that died has left of its changes of copied pictures.
//!
//! A copy is replaced before the commit that links it, and removed after the commit that unlinks it: a run that dies between leaves a copy
//! that is not what the table says. So a run announces whose copies it is about to change, and takes that back once all is done; whoever
//! finds an announcement brings those copies in line with the table, whether its run is dead or slow.

use std::collections::BTreeSet;

use datalake_core::{keys, report::RunId, user::UserId};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
};
use datalake_table::{table::Table, version::Version};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;

use crate::{
    error::RunError,
    pictures::{self, PICTURES_IN_FLIGHT_MAX},
};

/// The announcement of one attempt of a run.
#[derive(Debug)]
pub(crate) struct Announcement {
    key: String,
    users: BTreeSet<UserId>,
}

impl Announcement {
    /// Nothing is announced yet.
    pub(crate) fn new(run_id: &RunId, started_at: Timestamp) -> Self {
        Self {
            key: keys::picture_changes(run_id, &started_at.as_millisecond().to_string()),
            users: BTreeSet::new(),
        }
    }

    /// Adds users before their copies are changed.
    pub(crate) async fn extend<'a>(&mut self, bucket: &dyn Bucket, users: impl Iterator<Item = &'a UserId>) -> Result<(), StoreError> {
        let announced = self.users.len();
        self.users.extend(users.cloned());
        if self.users.len() == announced {
            return Ok(());
        }
        let ids: Vec<_> = self.users.iter().map(UserId::as_str).collect();
        let text = serde_json::to_vec(&ids).expect("a list of strings is JSON");
        bucket
            .put(&self.key, text.into(), PutMode::Replace, &Metadata::new())
            .await
            .map(drop)
    }

    /// Brings the copies in line that were announced for a commit that was lost, takes the announcement back, and gives the number of
    /// copies that were removed. The copies of `settled` are in line already.
    pub(crate) async fn take_back(
        self,
        bucket: &dyn Bucket,
        table: &Table,
        version: &Version,
        settled: &BTreeSet<UserId>,
    ) -> Result<u64, RunError> {
        if self.users.is_empty() {
            return Ok(0);
        }
        let others: Vec<_> = self.users.difference(settled).cloned().collect();
        let removed = bring_in_line(bucket, table, version, &others).await?;
        bucket.delete(&self.key, None).await?;
        Ok(removed)
    }
}

/// Brings in line what other runs have announced and not taken back, and gives the number of copies that were removed.
pub(crate) async fn repair(bucket: &dyn Bucket, table: &Table, version: &Version, own: &Announcement) -> Result<u64, RunError> {
    let mut removed = 0;
    let mut announcements = bucket.list(keys::PICTURE_CHANGES, None);
    while let Some(announcement) = announcements.try_next().await? {
        if announcement.key == own.key {
            continue;
        }
        removed += bring_in_line(bucket, table, version, &announced(bucket, &announcement.key).await?).await?;
        // A run that has not reported may be under way, and die later: its announcement stays until the daily clean-up.
        if let Some(run_id) = keys::parse_picture_changes(&announcement.key)
            && has_ended(bucket, &run_id).await?
        {
            bucket.delete(&announcement.key, None).await?;
        }
    }
    Ok(removed)
}

/// Removes the announcements that the store took before `before`, by when their runs are over.
pub(crate) async fn forget(bucket: &dyn Bucket, before: Timestamp) -> Result<(), StoreError> {
    let mut announcements = bucket.list(keys::PICTURE_CHANGES, None);
    while let Some(announcement) = announcements.try_next().await? {
        if announcement.modified < before {
            bucket.delete(&announcement.key, None).await?;
        }
    }
    Ok(())
}

async fn has_ended(bucket: &dyn Bucket, run_id: &RunId) -> Result<bool, StoreError> {
    match bucket.head(&keys::run_report(run_id)).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sorted; empty where the announcement was taken back just now. What cannot be read names nobody.
async fn announced(bucket: &dyn Bucket, key: &str) -> Result<Vec<UserId>, StoreError> {
    let bytes = match bucket.get(key, None, None).await {
        Ok(object) => object.bytes,
        Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let ids: Vec<String> = serde_json::from_slice(&bytes).unwrap_or_default();
    let users: BTreeSet<_> = ids.iter().filter_map(|id| UserId::parse(id).ok()).collect();
    Ok(users.into_iter().collect())
}

/// Makes the copies of these users, who are sorted, those that the newest version links, and gives the number of those that were removed.
async fn bring_in_line(bucket: &dyn Bucket, table: &Table, version: &Version, user_ids: &[UserId]) -> Result<u64, RunError> {
    if user_ids.is_empty() {
        return Ok(0);
    }
    let newer = table.newer_than(version).await?;
    let version = newer.as_ref().unwrap_or(version);
    let rows = table.rows_of(version, user_ids).await?;
    let has_picture = |user_id: &&UserId| rows.get(*user_id).is_some_and(|row| row.image.is_some());
    stream::iter(rows.values())
        .map(|row| pictures::restore_if_different(bucket, row))
        .buffer_unordered(PICTURES_IN_FLIGHT_MAX)
        .try_collect::<()>()
        .await?;
    let unlinked: Vec<_> = user_ids.iter().filter(|user_id| !has_picture(user_id)).cloned().collect();
    pictures::remove_unlinked(bucket, table, version, &unlinked).await
}
