//! Checks of image copies, and of the intents that runs record before they change copies.

use std::{cell::RefCell, collections::HashMap};

use bytes::Bytes;
use datalake_core::{dataset::Dataset, keys, row_id::RowId};
use datalake_store::{bucket::Etag, memory::MemoryBucket};
use jiff::{SignedDuration, Timestamp};

use super::{Oracle, ToleratedFaults, Write, Writer};
use crate::{
    invariant::{Invariant, Violation, violation},
    loaded_version::Loaded,
};

thread_local! {
    /// The bytes of every version of a source by its ETag.
    static CONTENTS: RefCell<HashMap<String, Bytes>> = RefCell::default();
}

/// The folder of the copies.
pub(super) fn copies() -> &'static str {
    let copy_to = Dataset::users().files()[0].copy_to.as_ref();
    copy_to.map_or("", |pattern| pattern.folder())
}

/// The key of the copy of a user's image.
pub(crate) fn copy_of(user_id: &str) -> String {
    Dataset::users().files()[0].path(user_id).concat()
}

/// The user of a copy; none if the key is not that of a copy.
fn user_of_copy(key: &str) -> Option<RowId> {
    keys::parse_copy(&Dataset::users().files()[0], key)
}

/// The age of a recorded intent after which other runs may remove the copies.
const INTENT_AGE_MAX: SignedDuration = SignedDuration::from_hours(1);

/// The run that recorded the intent of this key; none for other keys.
pub(super) fn run_of_intent(key: &str) -> Option<&str> {
    let name = key.strip_prefix(keys::IMAGE_INTENTS)?.strip_suffix(".json")?;
    name.rsplit_once('.').map(|(run_id, _)| run_id)
}

impl Oracle {
    /// A run without concurrent runs does not replace a copy with the bytes that the newest row records.
    ///
    /// One of two concurrent runs may: it links an image that is newer than the one that the other run has just committed, and copies it
    /// before its own commit fails. The guarantee applies after a run without concurrent runs.
    pub(super) fn check_copy(&self, write: &Write) -> Result<(), Violation> {
        if write.writer != Writer::SoleRun {
            return Ok(());
        }
        let (Some(before), Some(after), Some(newest)) = (&write.before, &write.after, &self.newest) else {
            return Ok(());
        };
        let user_id = user_of_copy(&write.key);
        let row = newest
            .rows
            .iter()
            .find(|row| user_id.as_ref().is_some_and(|user_id| user_id.as_str() == row.user_id));
        let recorded = row.and_then(|row| row.image.as_ref());
        let recorded = recorded.and_then(|etag| CONTENTS.with_borrow(|contents| contents.get(etag).cloned()));
        match recorded {
            Some(recorded) if recorded == before.bytes && recorded != after.bytes => Err(violation(
                Invariant::ImageCopies,
                format!("{} had the bytes that version {} links, but was replaced", write.key, newest.number),
            )),
            _ => Ok(()),
        }
    }

    /// Records the users of an intent to change image copies.
    pub(super) fn record_intent(&mut self, store: &MemoryBucket, key: &str, run_id: &str) {
        let Some(intent) = store.peek(key) else { return };
        let text = String::from_utf8_lossy(&intent.bytes);
        // Independent of the format: users are strings in it.
        for user_id in text.split('"').filter_map(|part| RowId::parse(part).ok()) {
            let runs = self.intents.entry(user_id).or_default();
            runs.insert(run_id.to_owned(), intent.meta.modified);
        }
    }

    /// The copies of newly linked images exist when their rows become visible, unless another run may have removed the copy: a run that also
    /// recorded an intent for the user, or any run if the intent of the linking run is old.
    pub(super) fn check_links(&self, store: &MemoryBucket, before: Option<&Loaded>, found: &Loaded) -> Result<(), Violation> {
        if self.tolerated != ToleratedFaults::default() {
            return Ok(());
        }
        let was_linked =
            |user_id: &str| before.is_some_and(|before| before.rows.iter().any(|row| row.user_id == user_id && row.image.is_some()));
        for row in found.rows.iter().filter(|row| row.image.is_some() && !was_linked(&row.user_id)) {
            let may_be_removed = RowId::parse(&row.user_id)
                .ok()
                .and_then(|user_id| self.intents.get(&user_id))
                .is_some_and(|runs| {
                    let latest = self.latest_time.max(store.now());
                    let is_old = |recorded_at: &Timestamp| latest.duration_since(*recorded_at).abs() >= INTENT_AGE_MAX;
                    runs.iter()
                        .any(|(run, recorded_at)| Some(run) != found.run_id.as_ref() || is_old(recorded_at))
                });
            if !may_be_removed && store.peek(&copy_of(&row.user_id)).is_none() {
                return Err(violation(
                    Invariant::LinkedImage,
                    format!(
                        "version {} links the image of user {}, but there is no copy",
                        found.number, row.user_id
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Records the bytes of a version of a source.
pub(super) fn remember(etag: &Etag, bytes: &Bytes) {
    CONTENTS.with_borrow_mut(|contents| {
        contents.entry(etag.as_str().to_owned()).or_insert_with(|| bytes.clone());
    });
}

/// Every linked image has a copy with the bytes that the row records.
pub(crate) fn check_copies(store: &MemoryBucket, found: &Loaded) -> Result<(), Violation> {
    for row in &found.rows {
        let Some(etag) = &row.image else { continue };
        let recorded = CONTENTS.with_borrow(|contents| contents.get(etag).cloned());
        let copy = store.peek(&copy_of(&row.user_id)).map(|copy| copy.bytes);
        let is_right = match (&recorded, &copy) {
            (Some(recorded), Some(copy)) => recorded == copy,
            _ => false,
        };
        if !is_right {
            let state = if copy.is_none() { "is missing" } else { "has other bytes" };
            return Err(violation(
                Invariant::ImageCopies,
                format!("version {}: the copy of the image of user {} {state}", found.number, row.user_id),
            ));
        }
    }
    Ok(())
}

/// Every copy is linked by a row, and no recorded intent remains.
pub(crate) fn check_leftovers(store: &MemoryBucket, found: &Loaded) -> Result<(), Violation> {
    let leftover = |key: &str| Err(violation(Invariant::NoLeftovers, format!("{key} was not removed")));
    for copy in store.peek_all(copies()) {
        let is_linked = user_of_copy(&copy.meta.key)
            .is_some_and(|user_id| found.rows.iter().any(|row| row.user_id == user_id.as_str() && row.image.is_some()));
        if !is_linked {
            return leftover(&copy.meta.key);
        }
    }
    match store.peek_all(keys::IMAGE_INTENTS).first() {
        Some(intent) => leftover(&intent.meta.key),
        None => Ok(()),
    }
}
