//! Loads versions from the log: from `_last_checkpoint`, a checkpoint, and the entries after it.

use std::sync::Arc;

use datalake_core::keys;
use datalake_store::{
    bucket::{Bucket, Object},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use crate::{
    delta::decode::decode,
    delta::{
        checkpoint,
        log::{self, CHECKPOINT_BYTES_MAX, ENTRY_BYTES_MAX, Listing, NUMBER_MAX, find_entry, parse_entry},
        parquet_rows,
        replay::{self, Replay},
        version::{State, Version, VersionFacts},
    },
    digest::Digest,
    error::TableError,
};

/// Cleanup may remove objects while they are read. Each attempt starts with a new listing, and cleanups are a day apart.
const LOAD_ATTEMPTS_MAX: u32 = 3;
/// Entries are small, so concurrent reads hide latency without using much memory.
const ENTRIES_IN_FLIGHT: usize = 8;

/// The objects to read for a version.
#[derive(Debug, PartialEq, Eq)]
struct LoadPlan {
    number: u64,
    checkpoint: Option<u64>,
    /// After the checkpoint, in order.
    entries: Vec<u64>,
}

/// The newest version compared with the caller's.
#[derive(Clone, Debug)]
pub enum Newest {
    /// The caller's version is the newest.
    Unchanged,
    /// This version is the newest. It follows the caller's version, or replaced it.
    Other(Version),
    /// The caller's version was removed, and there is no table.
    NoTable,
}

pub(crate) async fn latest(bucket: &Arc<dyn Bucket>) -> Result<Option<Version>, TableError> {
    load(bucket, None).await
}

pub(crate) async fn at(bucket: &Arc<dyn Bucket>, number: u64) -> Result<Version, TableError> {
    load(bucket, Some(number))
        .await?
        .ok_or(TableError::NoSuchVersion { version: number })
}

pub(crate) async fn newer_than(bucket: &Arc<dyn Bucket>, current: &Version) -> Result<Option<Version>, TableError> {
    let (mut number, mut digest) = (current.number(), current.digest());
    let Some(first) = next_entry(bucket, number).await? else {
        return Ok(None);
    };
    let mut replay = Replay::from_state(&current.0);
    let mut next = Some(first);
    while let Some(object) = next {
        let actions = parse_entry(&object)?;
        let facts = replay::commit_facts(&actions, object.meta.modified);
        let follows = match facts.base {
            Some(base) => base == digest || simulation::has(Bug::ReaderSkipsBaseDigest),
            // Entries of other engines do not record their base. It is the current entry, if that is still the caller's.
            None if number == current.number() => log::still_has(bucket, current).await?,
            None => true,
        };
        if !follows {
            return latest_other_than(bucket, current).await;
        }
        number += 1;
        digest = Digest::of(&object.bytes);
        replay.set_commit_facts(facts);
        replay.apply(&object.meta.key, actions)?;
        next = next_entry(bucket, number).await?;
    }
    finish(bucket, replay, number, digest).await.map(Some)
}

/// The entry of the next version, if there is one.
async fn next_entry(bucket: &Arc<dyn Bucket>, number: u64) -> Result<Option<Object>, TableError> {
    match number.checked_add(1).filter(|next| *next <= NUMBER_MAX) {
        Some(next) => find_entry(bucket, next).await,
        None => Ok(None),
    }
}

pub(crate) async fn reload_if_lost(bucket: &Arc<dyn Bucket>, current: &Version) -> Result<Option<Version>, TableError> {
    if log::still_has(bucket, current).await? {
        return Ok(None);
    }
    latest_other_than(bucket, current).await
}

/// The newest version, for a caller that acts on it. A missing next entry alone proves nothing: cleanup may have removed entries, including
/// the caller's, while the process was paused.
pub(crate) async fn newest(bucket: &Arc<dyn Bucket>, current: &Version) -> Result<Newest, TableError> {
    if let Some(newer) = newer_than(bucket, current).await? {
        return Ok(Newest::Other(newer));
    }
    if simulation::has(Bug::NewestTrustsMissingEntry) || log::still_has(bucket, current).await? {
        return Ok(Newest::Unchanged);
    }
    Ok(match latest(bucket).await? {
        Some(latest) if latest.id() == current.id() => Newest::Unchanged,
        Some(latest) => Newest::Other(latest),
        None => Newest::NoTable,
    })
}

/// What the entries of these versions record, in the order of `numbers`.
pub(crate) fn facts(bucket: &Arc<dyn Bucket>, numbers: Vec<u64>) -> BoxStream<'static, Result<VersionFacts, TableError>> {
    let bucket = Arc::clone(bucket);
    stream::iter(numbers)
        .map(move |number| {
            let bucket = Arc::clone(&bucket);
            async move { facts_of(&bucket, number).await }
        })
        .buffered(ENTRIES_IN_FLIGHT)
        .boxed()
}

/// What the entry of a version records. If only its checkpoint is left, the facts are unknown.
pub(crate) async fn facts_of(bucket: &Arc<dyn Bucket>, number: u64) -> Result<VersionFacts, TableError> {
    if let Some(object) = find_entry(bucket, number).await? {
        let commit = replay::commit_facts(&parse_entry(&object)?, object.meta.modified);
        return Ok(VersionFacts::new(number, &commit));
    }
    match bucket.head(&keys::checkpoint(number)).await {
        Ok(head) => Ok(VersionFacts::new(number, &replay::commit_facts(&[], head.meta.modified))),
        Err(StoreError::NotFound { .. }) => Err(TableError::NoSuchVersion { version: number }),
        Err(error) => Err(error.into()),
    }
}

/// The newest version, unless it is `current`.
async fn latest_other_than(bucket: &Arc<dyn Bucket>, current: &Version) -> Result<Option<Version>, TableError> {
    let is_other = |newest: &Version| {
        if simulation::has(Bug::ReaderComparesNumbers) {
            return newest.table_id() != current.table_id() || newest.number() > current.number();
        }
        newest.id() != current.id()
    };
    Ok(latest(bucket).await?.filter(is_other))
}

async fn load(bucket: &Arc<dyn Bucket>, number: Option<u64>) -> Result<Option<Version>, TableError> {
    let mut attempt = 1;
    loop {
        match load_once(bucket, number).await {
            Err(TableError::Store(StoreError::NotFound { .. })) if attempt < LOAD_ATTEMPTS_MAX => attempt += 1,
            outcome => return outcome,
        }
    }
}

async fn load_once(bucket: &Arc<dyn Bucket>, number: Option<u64>) -> Result<Option<Version>, TableError> {
    // An older version may be before the last checkpoint.
    let pointer = if number.is_none() {
        checkpoint::read_last_checkpoint(bucket).await?
    } else {
        None
    };
    let mut listing = log::list(bucket, pointer.unwrap_or(0)).await?;
    if pointer.is_some() && listing.checkpoints.is_empty() {
        // The last checkpoint is missing or has several parts, but the log may be complete.
        listing = log::list(bucket, 0).await?;
    }
    let mut damage = None;
    loop {
        let plan = match plan(&listing, number) {
            Ok(Some(plan)) => plan,
            Ok(None) => return Ok(None),
            Err(error) => return Err(damage.unwrap_or(error)),
        };
        match load_planned(bucket, &listing, &plan).await {
            // Replaying the entries after an older checkpoint, or all entries, gives the same state.
            Err(error @ TableError::Corrupt { .. }) if is_of_checkpoint(&error, plan.checkpoint) => {
                tracing::warn!(error = %error, "checkpoint is damaged; loading the table without it");
                if damage.is_none() {
                    listing = log::list(bucket, 0).await?;
                    damage = Some(error);
                }
                listing.checkpoints.retain(|version| Some(*version) < plan.checkpoint);
            }
            loaded => return loaded.map(Some),
        }
    }
}

/// Whether this checkpoint is the damaged object.
fn is_of_checkpoint(error: &TableError, checkpoint: Option<u64>) -> bool {
    matches!((error, checkpoint), (TableError::Corrupt { key, .. }, Some(version)) if *key == keys::checkpoint(version))
}

async fn load_planned(bucket: &Arc<dyn Bucket>, listing: &Listing, plan: &LoadPlan) -> Result<Version, TableError> {
    let mut replay = Replay::default();
    let mut digest = None;
    if let Some(version) = plan.checkpoint {
        // A checkpoint has no commitInfo, so the entry of its version is read as well, if it still exists. The entry is read first: if
        // an operator replaces both in between, the state is the new one and the digest the old one, so a commit finds that its base
        // is gone. In the other order, a commit would use the new entry as its base with changes of the old state.
        let entry = if listing.entries.contains(&version) {
            find_entry(bucket, version).await?
        } else {
            None
        };
        let object = log::get(bucket, &keys::checkpoint(version), CHECKPOINT_BYTES_MAX).await?;
        let (stored_at, own_digest) = (object.meta.modified, Digest::of(&object.bytes));
        let actions = decode(object, checkpoint::decode_actions).await?;
        replay.apply(&keys::checkpoint(version), actions)?;
        if let Some(entry) = &entry {
            digest = Some(Digest::of(&entry.bytes));
        }
        if plan.entries.is_empty() {
            replay.set_commit_facts(match &entry {
                Some(entry) => replay::commit_facts(&parse_entry(entry)?, entry.meta.modified),
                None => replay::commit_facts(&[], stored_at),
            });
            let digest = digest.unwrap_or(own_digest);
            return finish(bucket, replay, version, digest).await;
        }
    }
    let keys: Vec<String> = plan.entries.iter().map(|entry| keys::log_entry(*entry)).collect();
    let mut objects = stream::iter(keys)
        .map(|key| async move { log::get(bucket, &key, ENTRY_BYTES_MAX).await })
        .buffered(ENTRIES_IN_FLIGHT);
    while let Some(object) = objects.try_next().await? {
        let actions = parse_entry(&object)?;
        let facts = replay::commit_facts(&actions, object.meta.modified);
        if let (Some(before), Some(base)) = (digest, facts.base)
            && before != base
        {
            return Err(TableError::corrupt(
                &object.meta.key,
                "the entry does not follow the entry before it; a version was replaced while a writer was paused",
            ));
        }
        digest = Some(Digest::of(&object.bytes));
        replay.set_commit_facts(facts);
        replay.apply(&object.meta.key, actions)?;
    }
    drop(objects);
    let digest = digest.expect("a plan without a checkpoint has an entry");
    finish(bucket, replay, plan.number, digest).await
}

/// Reads the bounds of files that other engines added without statistics, and completes the version.
async fn finish(bucket: &Arc<dyn Bucket>, mut replay: Replay, number: u64, digest: Digest) -> Result<Version, TableError> {
    for path in replay.files_without_bounds() {
        let object = bucket.get(&keys::table_file(&path), None, None).await?;
        let Some(schema) = replay.schema().cloned() else { break };
        let found = decode(object, move |key, bytes| parquet_rows::rows_and_bounds(&schema, key, bytes)).await?;
        replay.set_file_bounds(&path, &found);
    }
    replay.finish(number, digest).map(|state: State| Version(Arc::new(state)))
}

fn plan(listing: &Listing, number: Option<u64>) -> Result<Option<LoadPlan>, TableError> {
    let Some(newest) = listing.entries.last().max(listing.checkpoints.last()).copied() else {
        return Ok(None);
    };
    if newest > NUMBER_MAX {
        let key = match listing.entries.last() {
            Some(entry) if *entry == newest => keys::log_entry(newest),
            _ => keys::checkpoint(newest),
        };
        return Err(TableError::corrupt(
            key,
            format!(
                "its version number is larger than any version number, {NUMBER_MAX}; remove the object if it does not belong to the table"
            ),
        ));
    }
    let number = number.unwrap_or(newest);
    if number > newest {
        return Err(TableError::NoSuchVersion { version: number });
    }
    let checkpoint = listing.checkpoints.range(..=number).next_back().copied();
    let first = checkpoint.map_or(0, |version| version + 1);
    // From the end, because a large version number does not mean that there are many entries.
    let mut entries = Vec::new();
    for entry in (first..=number).rev() {
        if listing.entries.contains(&entry) {
            entries.push(entry);
            continue;
        }
        return Err(match () {
            () if listing.has_foreign_checkpoints => {
                TableError::unsupported("multi-part checkpoints or V2 checkpoints, whose earlier entries have been removed")
            }
            // The entry may have been removed by cleanup.
            () if number < newest => TableError::NoSuchVersion { version: number },
            () => TableError::corrupt(keys::log_entry(entry), "the entry is missing, but later entries exist"),
        });
    }
    entries.reverse();
    Ok(Some(LoadPlan {
        number,
        checkpoint,
        entries,
    }))
}

#[cfg(test)]
mod tests;
