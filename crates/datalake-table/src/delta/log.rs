//! The objects of the log: entries, checkpoints, and which of them there are.

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc};

use datalake_core::keys::{self, LogKey};
use datalake_store::{
    bucket::{Bucket, Object},
    error::StoreError,
};
use futures_util::TryStreamExt;

use crate::{
    delta::{actions::Action, version::Version},
    digest::Digest,
    error::TableError,
};

/// The protocol's numbers are signed 64-bit integers; those of engines that count in floating point end here, at 2^53 - 2.
pub(crate) const NUMBER_MAX: u64 = (1 << 53) - 2;

/// An entry names the data files that changed: 10 million rows have 80, each of some 600 bytes.
pub(crate) const ENTRY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A checkpoint names all data files, and those that left the table within the retention.
pub(crate) const CHECKPOINT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What lies in the log.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) entries: BTreeSet<u64>,
    pub(crate) checkpoints: BTreeSet<u64>,
    /// Whether there are checkpoints in several parts or of the second version.
    pub(crate) has_foreign_checkpoints: bool,
}

impl Listing {
    /// The versions that can be loaded, up to the newest without a gap; none where there is no table.
    pub(crate) fn loadable(&self) -> Option<RangeInclusive<u64>> {
        let newest = self.entries.last().max(self.checkpoints.last()).copied()?;
        let mut number = newest;
        let mut first = None;
        loop {
            if self.checkpoints.contains(&number) || number == 0 && self.entries.contains(&0) {
                first = Some(number);
            }
            // Without its own entry, a version is loaded from a checkpoint of its own, and reaches back no further.
            if number == 0 || !self.entries.contains(&number) {
                break;
            }
            number -= 1;
        }
        first.map(|first| first..=newest)
    }
}

/// Whether the log holds the very entry that made `held`, or the checkpoint if only that was left of it.
pub(crate) async fn still_has(bucket: &Arc<dyn Bucket>, held: &Version) -> Result<bool, TableError> {
    has(bucket, held.number(), held.digest()).await
}

/// Whether the log holds the entry (or, without an entry, the checkpoint) of this number and digest.
pub(crate) async fn has(bucket: &Arc<dyn Bucket>, number: u64, digest: Digest) -> Result<bool, TableError> {
    if let Some(entry) = entry_if_there(bucket, number).await? {
        return Ok(Digest::of(&entry.bytes) == digest);
    }
    let checkpoint = get_if_there(bucket, &keys::checkpoint(number), CHECKPOINT_BYTES_MAX).await?;
    Ok(checkpoint.is_some_and(|checkpoint| Digest::of(&checkpoint.bytes) == digest))
}

/// What the log holds from version `from` on.
pub(crate) async fn list(bucket: &Arc<dyn Bucket>, from: u64) -> Result<Listing, TableError> {
    let start_after = from.checked_sub(1).map(keys::log_entry);
    let mut objects = bucket.list(keys::LOG, start_after.as_deref());
    let mut listing = Listing::default();
    while let Some(object) = objects.try_next().await? {
        match keys::parse_log(&object.key) {
            Some(LogKey::Entry(version)) => drop(listing.entries.insert(version)),
            Some(LogKey::Checkpoint(version)) => drop(listing.checkpoints.insert(version)),
            None => listing.has_foreign_checkpoints |= keys::is_foreign_checkpoint(&object.key),
        }
    }
    Ok(listing)
}

/// The actions of an entry: JSON, one object a line.
pub(crate) fn parse_entry(object: &Object) -> Result<Vec<Action>, TableError> {
    let key = &object.meta.key;
    let text = std::str::from_utf8(&object.bytes).map_err(|error| TableError::undecodable(key, "the entry is not UTF-8", error))?;
    let parse = |(index, line)| {
        serde_json::from_str(line)
            .map_err(|error| TableError::undecodable(key, format!("an action cannot be read, line={}", index + 1), error))
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(parse)
        .collect()
}

/// An object of the log. One that is larger than `bytes_max` is damage, and not read whole.
pub(crate) async fn get(bucket: &Arc<dyn Bucket>, key: &str, bytes_max: u64) -> Result<Object, TableError> {
    let object = match bucket.get(key, None, Some(0..bytes_max)).await {
        // Of an empty object there is no range.
        Err(StoreError::Invalid { .. }) if bucket.head(key).await?.meta.size == 0 => bucket.get(key, None, None).await?,
        object => object?,
    };
    if object.meta.size > bytes_max {
        let reason = format!(
            "the object has {} bytes, and none of its kind has over {bytes_max}",
            object.meta.size
        );
        return Err(TableError::corrupt(key, reason));
    }
    Ok(object)
}

pub(crate) async fn get_if_there(bucket: &Arc<dyn Bucket>, key: &str, bytes_max: u64) -> Result<Option<Object>, TableError> {
    match get(bucket, key, bytes_max).await {
        Ok(object) => Ok(Some(object)),
        Err(TableError::Store(StoreError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) async fn entry_if_there(bucket: &Arc<dyn Bucket>, number: u64) -> Result<Option<Object>, TableError> {
    get_if_there(bucket, &keys::log_entry(number), ENTRY_BYTES_MAX).await
}

#[cfg(test)]
mod tests;
