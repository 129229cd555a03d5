//! Loading versions from the log: `_last_checkpoint`, a checkpoint, and the entries after it.

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
    blocking::decode,
    delta::{
        checkpoint,
        log::{self, CHECKPOINT_BYTES_MAX, ENTRY_BYTES_MAX, Listing, NUMBER_MAX, entry_if_there, parse_entry},
        parquet_rows,
        replay::{self, Replay},
        version::{State, Version, VersionFacts},
    },
    digest::Digest,
    error::TableError,
};

/// The log may be cleaned up while it is read; each attempt begins with a fresh listing, and clean-ups are days apart.
const LOAD_ATTEMPTS_MAX: u32 = 3;
/// Entries are small: their number in flight hides latency and costs no memory.
const ENTRIES_IN_FLIGHT: usize = 8;

/// What has to be read for a version.
#[derive(Debug, PartialEq, Eq)]
struct LoadPlan {
    number: u64,
    checkpoint: Option<u64>,
    /// After the checkpoint, in order.
    entries: Vec<u64>,
}

/// What is newest, compared with a version that a caller holds.
#[derive(Clone, Debug)]
pub enum Newest {
    /// The version held is the newest one.
    Unchanged,
    /// This one is. It follows the version held, or took its place.
    Other(Version),
    /// The version held is gone, and there is no table.
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

pub(crate) async fn newer_than(bucket: &Arc<dyn Bucket>, held: &Version) -> Result<Option<Version>, TableError> {
    let (mut number, mut digest) = (held.number(), held.digest());
    let Some(first) = next_entry(bucket, number).await? else {
        return Ok(None);
    };
    let mut replay = Replay::from_state(&held.0);
    let mut next = Some(first);
    while let Some(object) = next {
        let actions = parse_entry(&object)?;
        let facts = replay::commit_facts(&actions, object.meta.modified);
        let follows = match facts.base {
            Some(base) => base == digest || simulation::has(Bug::ReaderSkipsBaseDigest),
            // Another engine's entry does not say what it follows: it follows what is there, if that is what is held.
            None if number == held.number() => log::still_has(bucket, held).await?,
            None => true,
        };
        if !follows {
            return latest_unless(bucket, held).await;
        }
        number += 1;
        digest = Digest::of(&object.bytes);
        replay.describe(facts);
        replay.apply(&object.meta.key, actions)?;
        next = next_entry(bucket, number).await?;
    }
    finish(bucket, replay, number, digest).await.map(Some)
}

/// The entry after the version of this number, if there is one.
async fn next_entry(bucket: &Arc<dyn Bucket>, number: u64) -> Result<Option<Object>, TableError> {
    match number.checked_add(1).filter(|next| *next <= NUMBER_MAX) {
        Some(next) => entry_if_there(bucket, next).await,
        None => Ok(None),
    }
}

pub(crate) async fn reload_if_lost(bucket: &Arc<dyn Bucket>, held: &Version) -> Result<Option<Version>, TableError> {
    if log::still_has(bucket, held).await? {
        return Ok(None);
    }
    latest_unless(bucket, held).await
}

/// What is newest, for a caller that acts on it. That there is no next entry proves nothing by itself: entries are removed, the version
/// held among them, while a process is paused.
pub(crate) async fn newest(bucket: &Arc<dyn Bucket>, held: &Version) -> Result<Newest, TableError> {
    if let Some(newer) = newer_than(bucket, held).await? {
        return Ok(Newest::Other(newer));
    }
    if simulation::has(Bug::NewestTrustsMissingEntry) || log::still_has(bucket, held).await? {
        return Ok(Newest::Unchanged);
    }
    Ok(match latest(bucket).await? {
        Some(latest) if latest.id() == held.id() => Newest::Unchanged,
        Some(latest) => Newest::Other(latest),
        None => Newest::NoTable,
    })
}

/// What the entries of `numbers` say of their versions, in that order.
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

/// What the entry of a version says of it. Where it is gone, a checkpoint of the version at least tells that there was one.
pub(crate) async fn facts_of(bucket: &Arc<dyn Bucket>, number: u64) -> Result<VersionFacts, TableError> {
    if let Some(object) = entry_if_there(bucket, number).await? {
        let commit = replay::commit_facts(&parse_entry(&object)?, object.meta.modified);
        return Ok(VersionFacts::new(number, &commit));
    }
    match bucket.head(&keys::checkpoint(number)).await {
        Ok(head) => Ok(VersionFacts::new(number, &replay::commit_facts(&[], head.meta.modified))),
        Err(StoreError::NotFound { .. }) => Err(TableError::NoSuchVersion { version: number }),
        Err(error) => Err(error.into()),
    }
}

/// The newest version, unless it is `held`.
async fn latest_unless(bucket: &Arc<dyn Bucket>, held: &Version) -> Result<Option<Version>, TableError> {
    let is_other = |newest: &Version| {
        if simulation::has(Bug::ReaderComparesNumbers) {
            return newest.table_id() != held.table_id() || newest.number() > held.number();
        }
        newest.id() != held.id()
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
    // An older version may lie before the last checkpoint.
    let pointer = if number.is_none() {
        checkpoint::read_last_checkpoint(bucket).await?
    } else {
        None
    };
    let mut listing = log::list(bucket, pointer.unwrap_or(0)).await?;
    if pointer.is_some() && listing.checkpoints.is_empty() {
        // The pointer names a checkpoint that is in several parts or gone: the log may still be whole.
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
            // The entries from an older checkpoint on, or from the first version on, make the same state.
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

/// Whether the damage is that of this checkpoint.
fn is_of_checkpoint(error: &TableError, checkpoint: Option<u64>) -> bool {
    matches!((error, checkpoint), (TableError::Corrupt { key, .. }, Some(version)) if *key == keys::checkpoint(version))
}

async fn load_planned(bucket: &Arc<dyn Bucket>, listing: &Listing, plan: &LoadPlan) -> Result<Version, TableError> {
    let mut replay = Replay::default();
    let mut digest = None;
    if let Some(version) = plan.checkpoint {
        // A checkpoint holds no commitInfo: the entry beside it does, if it is still there. The entry is read first: if an operator replaces both
        // in between, the state is that of the new entry and the digest that of the old one, and a commit finds that its base is gone. The other
        // way round, a commit would take the new entry for its base, and follow it with changes of the old state.
        let entry = if listing.entries.contains(&version) {
            entry_if_there(bucket, version).await?
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
            replay.describe(match &entry {
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
                "the entry follows another one than the entry before it; a version was replaced while a writer was paused",
            ));
        }
        digest = Some(Digest::of(&object.bytes));
        replay.describe(facts);
        replay.apply(&object.meta.key, actions)?;
    }
    drop(objects);
    let digest = digest.expect("a plan without a checkpoint has an entry");
    finish(bucket, replay, plan.number, digest).await
}

/// Looks into files that foreign writers added without saying what they hold.
async fn finish(bucket: &Arc<dyn Bucket>, mut replay: Replay, number: u64, digest: Digest) -> Result<Version, TableError> {
    for path in replay.undescribed() {
        let object = bucket.get(&keys::in_table(&path), None, None).await?;
        let stats = decode(object, parquet_rows::describe).await?;
        replay.describe_file(&path, &stats);
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
            format!("no version has a number over {NUMBER_MAX}; remove the object if it is a stray"),
        ));
    }
    let number = number.unwrap_or(newest);
    if number > newest {
        return Err(TableError::NoSuchVersion { version: number });
    }
    let checkpoint = listing.checkpoints.range(..=number).next_back().copied();
    let first = checkpoint.map_or(0, |version| version + 1);
    // From the end: a number in a name says nothing of how many entries there are.
    let mut entries = Vec::new();
    for entry in (first..=number).rev() {
        if listing.entries.contains(&entry) {
            entries.push(entry);
            continue;
        }
        return Err(match () {
            () if listing.has_foreign_checkpoints => {
                TableError::unsupported("checkpoints in several parts or of version 2, and entries before them are gone")
            }
            // Nothing says that there ever was more than what is left.
            () if number < newest => TableError::NoSuchVersion { version: number },
            () => TableError::corrupt(keys::log_entry(entry), "the entry is missing, later ones are there"),
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
