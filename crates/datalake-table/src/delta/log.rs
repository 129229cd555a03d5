//! The objects of the log, entries and checkpoints, and the listing of them.

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

/// The largest version number. The protocol uses signed 64-bit integers, but engines that count in floating point only reach 2^53 - 2.
pub(crate) const NUMBER_MAX: u64 = (1 << 53) - 2;

/// The size limit of an entry. It contains an action of some 600 bytes for each changed data file, of which 10 million rows have 80.
pub(crate) const ENTRY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The size limit of a checkpoint. It contains an action for each data file, and for each that was removed within the retention.
pub(crate) const CHECKPOINT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The versions in the log that have an entry or a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) entries: BTreeSet<u64>,
    pub(crate) checkpoints: BTreeSet<u64>,
    /// Whether there are multi-part checkpoints or V2 checkpoints.
    pub(crate) has_foreign_checkpoints: bool,
}

impl Listing {
    /// The versions that can be loaded, up to the newest, without a gap. None if there is no table.
    pub(crate) fn loadable(&self) -> Option<RangeInclusive<u64>> {
        let newest = self.entries.last().max(self.checkpoints.last()).copied()?;
        let mut number = newest;
        let mut first = None;
        loop {
            if self.checkpoints.contains(&number) || number == 0 && self.entries.contains(&0) {
                first = Some(number);
            }
            // A version without an entry can be loaded from its own checkpoint, but no version after it needs an earlier one.
            if number == 0 || !self.entries.contains(&number) {
                break;
            }
            number -= 1;
        }
        first.map(|first| first..=newest)
    }
}

/// Whether the log contains the entry that made `version`, or its checkpoint if the version was loaded from it.
pub(crate) async fn still_has(bucket: &Arc<dyn Bucket>, version: &Version) -> Result<bool, TableError> {
    contains(bucket, version.number(), version.digest()).await
}

/// Whether the log contains the entry with this number and digest or, without an entry, such a checkpoint.
pub(crate) async fn contains(bucket: &Arc<dyn Bucket>, number: u64, digest: Digest) -> Result<bool, TableError> {
    if let Some(entry) = find_entry(bucket, number).await? {
        return Ok(Digest::of(&entry.bytes) == digest);
    }
    let checkpoint = find(bucket, &keys::checkpoint(number), CHECKPOINT_BYTES_MAX).await?;
    Ok(checkpoint.is_some_and(|checkpoint| Digest::of(&checkpoint.bytes) == digest))
}

/// Lists the log from version `from` on.
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

/// Parses the actions of an entry: one JSON object per line.
pub(crate) fn parse_entry(object: &Object) -> Result<Vec<Action>, TableError> {
    let key = &object.meta.key;
    let text = std::str::from_utf8(&object.bytes).map_err(|error| TableError::undecodable(key, "the entry is not UTF-8", error))?;
    let parse = |(index, line)| {
        serde_json::from_str(line)
            .map_err(|error| TableError::undecodable(key, format!("the action in line {} is not valid", index + 1), error))
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(parse)
        .collect()
}

/// Reads an object of the log. An object that is larger than `bytes_max` is damaged, and is not read completely.
pub(crate) async fn get(bucket: &Arc<dyn Bucket>, key: &str, bytes_max: u64) -> Result<Object, TableError> {
    let object = match bucket.get(key, None, Some(0..bytes_max)).await {
        // An empty object has no valid range.
        Err(StoreError::Invalid { .. }) if bucket.head(key).await?.meta.size == 0 => bucket.get(key, None, None).await?,
        object => object?,
    };
    if object.meta.size > bytes_max {
        let reason = format!("the object has {} bytes, but at most {bytes_max} are expected", object.meta.size);
        return Err(TableError::corrupt(key, reason));
    }
    Ok(object)
}

pub(crate) async fn find(bucket: &Arc<dyn Bucket>, key: &str, bytes_max: u64) -> Result<Option<Object>, TableError> {
    match get(bucket, key, bytes_max).await {
        Ok(object) => Ok(Some(object)),
        Err(TableError::Store(StoreError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) async fn find_entry(bucket: &Arc<dyn Bucket>, number: u64) -> Result<Option<Object>, TableError> {
    find(bucket, &keys::log_entry(number), ENTRY_BYTES_MAX).await
}

#[cfg(test)]
mod tests;
