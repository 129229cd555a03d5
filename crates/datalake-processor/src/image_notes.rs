//! Notes on images: which users' copies a run changes.
//!
//! The copies are a view of the table that is published beside it, and a run can die or be paused between its commit and a copy. Before its first
//! copy a run therefore notes all users whose image it links, replaces or unlinks, and removes the note once their copies are as the newest
//! rows say. The next run settles the users of every note that it finds.

use std::collections::{BTreeMap, BTreeSet};

use datalake_core::{keys, report::RunId, user::UserId};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::TryStreamExt;
use jiff::{SignedDuration, Timestamp};

use crate::{error::RunError, unique::unique};

/// A run that wrote a note so long ago is dead, or its requests have expired: what it linked is in the table, what it unlinked can be removed.
const NOTE_AGE_MAX: SignedDuration = SignedDuration::from_hours(1);

/// A note names users: 64 MiB are a million IDs of the greatest length.
const NOTE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The note of one process, which may write it several times.
#[derive(Debug)]
pub(crate) struct ImageNote {
    key: String,
    users: BTreeSet<UserId>,
}

impl ImageNote {
    /// Nothing is written yet.
    pub(crate) fn new(run_id: &RunId) -> Self {
        let unique = if simulation::has(Bug::IntentsAreNamedByRun) {
            "run".into()
        } else {
            unique()
        };
        Self {
            key: keys::image_intent(run_id, &unique),
            users: BTreeSet::new(),
        }
    }

    /// The users noted so far.
    pub(crate) fn users(&self) -> &BTreeSet<UserId> {
        &self.users
    }

    /// Adds users before their copies change.
    pub(crate) async fn record(&mut self, bucket: &dyn Bucket, users: impl IntoIterator<Item = UserId>) -> Result<(), StoreError> {
        let before = self.users.len();
        self.users.extend(users);
        if self.users.len() == before || simulation::has(Bug::NoImageIntent) {
            return Ok(());
        }
        let ids: Vec<_> = self.users.iter().map(UserId::as_str).collect();
        let text = serde_json::to_vec(&ids).expect("a list of strings is JSON");
        bucket
            .put(&self.key, text.into(), PutMode::Replace, &Metadata::new())
            .await
            .map(drop)
    }

    /// Removes the note, once the copies of its users are settled.
    pub(crate) async fn clear(&mut self, bucket: &dyn Bucket) -> Result<(), StoreError> {
        if std::mem::take(&mut self.users).is_empty() {
            return Ok(());
        }
        bucket.delete(&self.key, None).await
    }
}

/// What other processes have noted.
#[derive(Debug, Default)]
pub(crate) struct OtherNotes {
    /// Each user of a note, and whether a copy that no row links may be removed: not while the run that made it may still commit the link.
    pub(crate) users: BTreeMap<UserId, bool>,
    /// The keys of notes that are over once their users are settled.
    pub(crate) expired: Vec<String>,
}

/// Reads the notes of other processes, at the store's time `now`.
pub(crate) async fn others(bucket: &dyn Bucket, own: &ImageNote, now: Timestamp) -> Result<OtherNotes, RunError> {
    let mut notes = OtherNotes::default();
    let mut listed = bucket.list(keys::IMAGE_INTENTS, None);
    while let Some(note) = listed.try_next().await? {
        if note.key == own.key {
            continue;
        }
        let is_expired = now.duration_since(note.modified) > NOTE_AGE_MAX;
        let may_remove = is_expired || simulation::has(Bug::ReconcileRemovesForYoungIntents);
        for user_id in noted(bucket, &note.key, note.size).await? {
            *notes.users.entry(user_id).or_default() |= may_remove;
        }
        let stays = simulation::has(Bug::ExpiredIntentsStay);
        if is_expired && !stays || simulation::has(Bug::OtherIntentsAreRemovedAtOnce) {
            notes.expired.push(note.key);
        }
    }
    Ok(notes)
}

/// The users of a note; none of one that was removed just now, or that cannot be read: the daily vacuum compares all copies.
async fn noted(bucket: &dyn Bucket, key: &str, size: u64) -> Result<Vec<UserId>, StoreError> {
    if size > NOTE_BYTES_MAX {
        return Ok(Vec::new());
    }
    let bytes = match bucket.get(key, None, None).await {
        Ok(object) => object.bytes,
        Err(StoreError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let ids: Vec<String> = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(ids.iter().filter_map(|id| UserId::parse(id).ok()).collect())
}
