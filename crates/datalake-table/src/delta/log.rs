//! Loading versions from the log: `_last_checkpoint`, a checkpoint, and the entries after it.

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc};

use datalake_core::keys::{self, LogKey};
use datalake_store::{
    bucket::{Bucket, Object},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use serde::{Deserialize, Serialize};

use crate::{
    blocking::decode,
    delta::{
        actions::Action,
        checkpoint, parquet_rows,
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

/// The protocol's numbers are signed 64-bit integers; those of engines that count in floating point end here, at 2^53 - 2.
pub(crate) const NUMBER_MAX: u64 = (1 << 53) - 2;

/// An entry names the data files that changed: 10 million rows have 80, each of some 600 bytes.
pub(crate) const ENTRY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A checkpoint names all data files, and those that left the table within the retention.
pub(crate) const CHECKPOINT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The pointer is a small document; other engines add a schema of the checkpoint.
const POINTER_BYTES_MAX: u64 = 1024 * 1024;

/// The document `_last_checkpoint`. Other engines write more fields.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastCheckpoint {
    pub(crate) version: u64,
    /// Actions in the checkpoint.
    #[serde(default)]
    pub(crate) size: u64,
}

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
    Held,
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
            None if number == held.number() => still_has(bucket, held).await?,
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
    if still_has(bucket, held).await? {
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
    if simulation::has(Bug::NewestTrustsMissingEntry) || still_has(bucket, held).await? {
        return Ok(Newest::Held);
    }
    Ok(match latest(bucket).await? {
        Some(latest) if latest.id() == held.id() => Newest::Held,
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
    let pointer = if number.is_none() { last_checkpoint(bucket).await? } else { None };
    let mut listing = list(bucket, pointer.unwrap_or(0)).await?;
    if pointer.is_some() && listing.checkpoints.is_empty() {
        // The pointer names a checkpoint that is in several parts or gone: the log may still be whole.
        listing = list(bucket, 0).await?;
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
                    listing = list(bucket, 0).await?;
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

/// Whether a checkpoint can be decoded.
pub(crate) async fn is_checkpoint_whole(bucket: &Arc<dyn Bucket>, version: u64) -> Result<bool, TableError> {
    let Some(object) = get_if_there(bucket, &keys::checkpoint(version), CHECKPOINT_BYTES_MAX).await? else {
        return Ok(false);
    };
    match decode(object, checkpoint::decode).await {
        Ok(_) => Ok(true),
        Err(TableError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
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
        let object = get(bucket, &keys::checkpoint(version), CHECKPOINT_BYTES_MAX).await?;
        let (stored_at, own_digest) = (object.meta.modified, Digest::of(&object.bytes));
        let actions = decode(object, checkpoint::decode).await?;
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
        .map(|key| async move { get(bucket, &key, ENTRY_BYTES_MAX).await })
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
        let object = bucket.get(&keys::table_file(&path), None, None).await?;
        let stats = decode(object, parquet_rows::describe).await?;
        replay.describe_file(&path, &stats);
    }
    replay.finish(number, digest).map(|state: State| Version(Arc::new(state)))
}

pub(crate) async fn last_checkpoint(bucket: &Arc<dyn Bucket>) -> Result<Option<u64>, TableError> {
    // The pointer only saves work: one that is damaged, or too large to be one, is as good as none.
    let object = match get_if_there(bucket, keys::LAST_CHECKPOINT, POINTER_BYTES_MAX).await {
        Err(TableError::Corrupt { .. }) => None,
        object => object?,
    };
    let pointer = object.and_then(|object| serde_json::from_slice::<LastCheckpoint>(&object.bytes).ok());
    Ok(pointer.map(|pointer| pointer.version))
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
mod tests {
    use super::*;

    /// The checkpoint and the entries to read; none where there is no table.
    type Expected<'a> = Result<Option<(Option<u64>, &'a [u64])>, &'a str>;

    #[track_caller]
    fn check(entries: &[u64], checkpoints: &[u64], number: Option<u64>, expected: Expected<'_>) {
        let listing = Listing {
            entries: entries.iter().copied().collect(),
            checkpoints: checkpoints.iter().copied().collect(),
            has_foreign_checkpoints: false,
        };
        let planned = plan(&listing, number)
            .map(|plan| plan.map(|plan| (plan.checkpoint, plan.entries)))
            .map_err(|error| error.to_string());
        match expected {
            Ok(expected) => assert_eq!(
                planned.unwrap(),
                expected.map(|(checkpoint, entries)| (checkpoint, entries.to_vec()))
            ),
            Err(expected) => assert!(planned.clone().unwrap_err().contains(expected), "{planned:?}"),
        }
    }

    #[track_caller]
    fn check_loadable(entries: &[u64], checkpoints: &[u64], expected: Option<(u64, u64)>) {
        let listing = Listing {
            entries: entries.iter().copied().collect(),
            checkpoints: checkpoints.iter().copied().collect(),
            has_foreign_checkpoints: false,
        };
        let found = listing.loadable().map(RangeInclusive::into_inner);
        assert_eq!(found, expected, "entries: {entries:?}, checkpoints: {checkpoints:?}");
    }

    #[test]
    fn what_can_be_loaded() {
        check_loadable(&[], &[], None);
        check_loadable(&[0], &[], Some((0, 0)));
        check_loadable(&[0, 1, 2, 3], &[2], Some((0, 3)));
        check_loadable(&[1, 2, 3], &[2], Some((2, 3)));
        check_loadable(&[2, 3], &[2], Some((2, 3)));
        check_loadable(&[3], &[2], Some((2, 3)));
        check_loadable(&[], &[2], Some((2, 2)));
        check_loadable(&[2, 3, 5], &[2, 4], Some((4, 5)));
        check_loadable(&[0, 2], &[], None);
        check_loadable(&[1, 2], &[], None);
    }

    #[test]
    fn plans() {
        check(&[], &[], None, Ok(None));
        check(&[0], &[], None, Ok(Some((None, &[0]))));
        check(&[0, 1, 2], &[1], None, Ok(Some((Some(1), &[2]))));
        check(&[0, 1, 2], &[2], None, Ok(Some((Some(2), &[]))));
        check(&[2, 3, 4], &[2, 4], Some(3), Ok(Some((Some(2), &[3]))));
        check(&[0, 1, 2], &[2], Some(1), Ok(Some((None, &[0, 1]))));
        check(&[3], &[2], None, Ok(Some((Some(2), &[3]))));
        check(&[], &[2], None, Ok(Some((Some(2), &[]))));
        check(&[1, 2], &[], None, Err("is missing"));
        check(&[0, 2], &[], None, Err("is missing"));
        check(&[2, 3], &[2], Some(1), Err("no such version"));
        check(&[0, 1], &[], Some(2), Err("no such version"));
        check(&[0, u64::MAX], &[], None, Err("no version has a number over"));
        check(&[0], &[u64::MAX], None, Err("18446744073709551615.checkpoint.parquet"));
        check(&[0, NUMBER_MAX], &[], None, Err("is missing"));
        check(&[NUMBER_MAX], &[NUMBER_MAX], None, Ok(Some((Some(NUMBER_MAX), &[]))));
    }
}
