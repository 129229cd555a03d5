//! Removes what no reader needs any more: log entries and data files past the table's retention, and what dead runs left behind.
//!
//! Images are none of this crate's business.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use datalake_core::keys::{self, LogKey};
use datalake_store::{
    bucket::{Bucket, Etag, Fenced, ObjectMeta},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    blocking::decode,
    delta::{
        actions::{Action, Metadata, Remove},
        checkpoint, log,
        retention::Retention,
        version::{Version, percent_decoded},
    },
    error::TableError,
};

/// An object of a check whether the store refuses to create what exists: such a check takes seconds.
const CREATE_PROOF_AGE_MIN: SignedDuration = SignedDuration::from_hours(48);

/// How much longer than the retention a superseded entry may stay. A lake that changes each hour gets a checkpoint sooner, with a commit.
const LINGERING_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Entries and deletions are small requests.
const REQUESTS_IN_FLIGHT: usize = 8;

/// What a vacuum removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VacuumSummary {
    /// Data files.
    pub segments_removed: u64,
    /// Files of refused sources.
    pub refusals_removed: u64,
    /// Bytes of both.
    pub bytes_removed: u64,
    /// Entries and checkpoints of the log.
    pub log_objects_removed: u64,
    /// Staged files and uploads in parts that their writers left.
    pub staged_removed: u64,
}

pub(crate) async fn vacuum(bucket: &Arc<dyn Bucket>) -> Result<VacuumSummary, TableError> {
    // In this order: a writer whose staged entry is swept here creates nothing later, so that what the log names from now on is what it
    // names while the vacuum decides.
    let mut summary = VacuumSummary {
        staged_removed: bucket.sweep().await?,
        ..VacuumSummary::default()
    };
    let fenced = bucket.fenced().await?;
    let now = fenced.store_time;
    let Some(version) = log::latest(bucket).await? else {
        return Ok(summary);
    };
    let retention = Retention::of(&version.0.metadata);
    summary.log_objects_removed = clean_log(bucket, &fenced, &version, retention.log).await?;
    let Named { segments, refusals } = named(bucket, &version, now, retention.deleted_files).await?;
    let unnamed_age_min = if simulation::has(Bug::VacuumRemovesYoungFiles) {
        SignedDuration::from_hours(1)
    } else {
        retention.deleted_files
    };
    let mut doomed = Vec::new();
    let mut objects = bucket.list(keys::TABLE, None);
    while let Some(object) = objects.try_next().await? {
        let age = now.duration_since(object.modified);
        if keys::parse_data_file(&object.key).is_some_and(|path| age > unnamed_age_min && !segments.contains(path)) {
            summary.segments_removed += 1;
        } else if keys::is_rejects_file(&object.key) && age > unnamed_age_min && !refusals.has(&object.key) {
            summary.refusals_removed += 1;
        } else if keys::is_create_proof(&object.key) && age > CREATE_PROOF_AGE_MIN {
            // A run that died within its check.
        } else {
            continue;
        }
        summary.bytes_removed += object.size;
        doomed.push(object.key);
    }
    let mut deletions = stream::iter(doomed)
        .map(|key| {
            let bucket = &fenced.bucket;
            async move { bucket.delete(&key, None).await }
        })
        .buffer_unordered(REQUESTS_IN_FLIGHT);
    while let Some(deleted) = deletions.next().await {
        match deleted {
            Ok(()) => {}
            // This vacuum was paused, or the store's clock was set: the next one decides again.
            Err(StoreError::Expired { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    drop(deletions);
    Ok(summary)
}

/// What must stay.
struct Named {
    /// Paths of the data files that the version or one within the retention holds.
    segments: BTreeSet<String>,
    /// Files of refused sources.
    refusals: NamedRefusals,
}

/// The files of refused sources that the newest version, or one within the retention, names. A version is within the retention until its
/// successor is past it. The files hold excerpts of the sources: that an older version is still in the log is no reason to keep them.
#[derive(Default)]
struct NamedRefusals {
    keys: BTreeSet<String>,
    /// The file of the version up to which the log was read.
    current: Option<String>,
    /// Another vacuum removed part of the log during the read: which versions name a file is not known, and all files stay.
    is_incomplete: bool,
}

impl NamedRefusals {
    fn has(&self, key: &str) -> bool {
        self.is_incomplete || self.keys.contains(key)
    }

    /// Takes the metadata of the next object of the log.
    fn follow(&mut self, metadata: &Metadata, is_retained: bool) {
        let next = metadata.refusals().map(keys::table_file);
        if is_retained {
            self.keys.extend(next.clone());
            self.keys.extend(std::mem::replace(&mut self.current, next));
        } else {
            self.current = next;
        }
    }
}

/// A data file is past its retention when the entry that removed it is, by the store's clock. The time within an entry is that of its
/// writer's clock, which may be wrong: it can keep a file longer, where another engine has removed entries earlier, and never removes one.
async fn named(bucket: &Arc<dyn Bucket>, version: &Version, now: Timestamp, retention: SignedDuration) -> Result<Named, TableError> {
    let held = version.segments().iter().map(|segment| percent_decoded(&segment.path));
    let oldest_ms = now.as_millisecond() - retention.as_secs() * 1_000;
    let is_young = |remove: &Remove| remove.deletion_timestamp.unwrap_or(0) > oldest_ms;
    let buried = version.0.tombstones.iter();
    let buried = buried.filter(|(_, remove)| is_young(remove) && !simulation::has(Bug::VacuumForgetsRemovedFiles));
    let mut named = Named {
        segments: held.chain(buried.map(|(path, _)| path.clone())).collect(),
        refusals: NamedRefusals::default(),
    };
    named.refusals.keys.extend(version.0.metadata.refusals().map(keys::table_file));
    let listing = log::list(bucket, 0).await?;
    // The oldest checkpoint names the rejects file of the version with which the log, as it is left, begins.
    let checkpoint = listing.checkpoints.first().copied();
    let before = listing.entries.range(..checkpoint.unwrap_or(0));
    let after = listing.entries.range(checkpoint.unwrap_or(0)..);
    let keys = before
        .map(|version| keys::log_entry(*version))
        .chain(checkpoint.map(keys::checkpoint))
        .chain(after.map(|version| keys::log_entry(*version)))
        .collect::<Vec<_>>();
    let is_later = |key: &str| matches!(keys::parse_log(key), Some(LogKey::Entry(number)) if number > version.number());
    let mut read = stream::iter(keys)
        .map(|key| async move { actions(bucket, &key).await.map(|logged| (is_later(&key), logged)) })
        .buffered(REQUESTS_IN_FLIGHT);
    while let Some((is_later, logged)) = read.try_next().await? {
        let Some(logged) = logged else {
            named.refusals.is_incomplete = true;
            continue;
        };
        // What another run commits while this vacuum decides stays, whatever the store's clock says of it.
        let is_retained = is_later || now.duration_since(logged.modified) <= retention;
        for action in logged.actions {
            if let Some(metadata) = &action.meta_data {
                named.refusals.follow(metadata, is_retained);
            }
            named
                .segments
                .extend(action.add.iter().map(|add| percent_decoded(&add.path)).filter(|_| is_retained));
            let removed = action
                .remove
                .filter(|_| is_retained && !simulation::has(Bug::VacuumForgetsRemovedFiles));
            named.segments.extend(removed.map(|remove| percent_decoded(&remove.path)));
        }
    }
    if simulation::has(Bug::VacuumForgetsRejectsFile) {
        named.refusals = NamedRefusals::default();
    }
    Ok(named)
}

/// Actions of the log, and when the store took them.
struct Logged {
    modified: Timestamp,
    actions: Vec<Action>,
}

/// The actions under a key of the log; none where another vacuum has removed it.
async fn actions(bucket: &Arc<dyn Bucket>, key: &str) -> Result<Option<Logged>, TableError> {
    let bytes_max = log::ENTRY_BYTES_MAX.max(log::CHECKPOINT_BYTES_MAX);
    let Some(object) = log::get_if_there(bucket, key, bytes_max).await? else {
        return Ok(None);
    };
    let modified = object.meta.modified;
    let actions = match keys::parse_log(key) {
        // No version is loaded from a damaged checkpoint: the entries that stay name the files of all others.
        Some(LogKey::Checkpoint(_)) => match decode(object, checkpoint::decode).await {
            Err(TableError::Corrupt { .. }) => Vec::new(),
            actions => actions?,
        },
        Some(LogKey::Entry(_)) | None => log::parse_entry(&object)?,
    };
    Ok(Some(Logged { modified, actions }))
}

/// An object of the log.
struct LogObject {
    key: String,
    etag: Etag,
    modified: Timestamp,
}

/// Removes entries and checkpoints of versions that were superseded before the retention began, and returns their number.
///
/// The versions within the retention stay loadable: from the newest checkpoint of a version that was committed before it began. Where such a
/// checkpoint would leave superseded entries for longer than [`LINGERING_MAX`], the newest version of that age gets one. Objects go in ascending order, one at a time, and the first failure ends it:
/// what is left is always a log without gaps, and whoever finds an entry knows that every later one that ever was is there, too.
async fn clean_log(bucket: &Arc<dyn Bucket>, fenced: &Fenced, newest: &Version, retention: SignedDuration) -> Result<u64, TableError> {
    let now = fenced.store_time;
    let mut log = log_objects(bucket).await?;
    let first_kept = |log: &BTreeMap<u64, Vec<LogObject>>| {
        let old = committed_before(log, now.saturating_sub(retention).unwrap_or(Timestamp::MIN));
        let ignores_checkpoints = simulation::has(Bug::CleanupIgnoresCheckpoints);
        let checkpointed = old
            .rev()
            .find(|(_, objects)| ignores_checkpoints || objects.iter().any(|object| is_checkpoint(&object.key)));
        checkpointed.map(|(version, _)| version)
    };
    if let Some(version) = lingering_before(&log, newest, now, retention, first_kept(&log)) {
        if version == newest.number() {
            checkpoint::write(bucket, newest).await?;
        } else {
            checkpoint::write(bucket, &log::at(bucket, version).await?).await?;
        }
        log = log_objects(bucket).await?;
    }
    let Some(first_kept) = first_kept(&log) else { return Ok(0) };
    let (mut removed, end) = (0, first_kept.min(newest.number()));
    if log.range(..end).next().is_none() {
        return Ok(0);
    }
    // Without the entries before it, a damaged checkpoint could not be done without.
    if !simulation::has(Bug::CleanupIgnoresCheckpoints) && !log::is_checkpoint_whole(bucket, first_kept).await? {
        tracing::warn!(
            key = keys::checkpoint(first_kept),
            "checkpoint is damaged; keeping the log before it"
        );
        return Ok(0);
    }
    let doomed: Vec<&LogObject> = if simulation::has(Bug::CleanupDescends) {
        log.range(..end).rev().flat_map(|(_, objects)| objects).collect()
    } else {
        log.range(..end).flat_map(|(_, objects)| objects).collect()
    };
    for object in doomed {
        match fenced.bucket.delete(&object.key, Some(&object.etag)).await {
            Ok(()) => removed += 1,
            Err(StoreError::NotFound { .. }) => {}
            // Another object took its place, or this vacuum was paused: the next one decides again.
            Err(StoreError::Conflict { .. } | StoreError::Expired { .. }) => break,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, key = object.key, "cannot remove log entry; the next vacuum tries again");
                break;
            }
        }
    }
    Ok(removed)
}

/// The newest version committed before the retention began, if entries before it would linger without a checkpoint of its own. `first_kept` is the
/// newest such version that has one.
fn lingering_before(
    log: &BTreeMap<u64, Vec<LogObject>>,
    newest: &Version,
    now: Timestamp,
    retention: SignedDuration,
    first_kept: Option<u64>,
) -> Option<u64> {
    let began = |age: SignedDuration| now.saturating_sub(age).unwrap_or(Timestamp::MIN);
    let (newest_old, _) = committed_before(log, began(retention)).next_back()?;
    if first_kept == Some(newest_old) || log.len() == 1 {
        return None;
    }
    // No later commit of a lake that does not change brings a checkpoint.
    let is_newest = newest_old == newest.number();
    let lingers = |version: u64| first_kept.is_none_or(|first_kept| version >= first_kept) && version < newest_old;
    let mut old = committed_before(log, began(retention.saturating_add(LINGERING_MAX)));
    (is_newest || old.any(|(version, _)| lingers(version))).then_some(newest_old)
}

/// The entries and checkpoints of the log by version; of one version the checkpoint first, so that what is left begins with an entry that can
/// be read or with a whole version.
async fn log_objects(bucket: &Arc<dyn Bucket>) -> Result<BTreeMap<u64, Vec<LogObject>>, TableError> {
    let mut log = BTreeMap::<u64, Vec<LogObject>>::new();
    let mut objects = bucket.list(keys::LOG, None);
    while let Some(ObjectMeta { key, etag, modified, .. }) = objects.try_next().await? {
        if let Some(LogKey::Entry(version) | LogKey::Checkpoint(version)) = keys::parse_log(&key) {
            let of_version = log.entry(version).or_default();
            of_version.push(LogObject { key, etag, modified });
            of_version.sort_by_key(|object| !is_checkpoint(&object.key));
        }
    }
    Ok(log)
}

fn is_checkpoint(key: &str) -> bool {
    matches!(keys::parse_log(key), Some(LogKey::Checkpoint(_)))
}

/// The versions that were committed before `time`, ascending. A version is at least as old as the next one that is there: one entry that a
/// wrong clock dated in the future must not keep the whole log.
fn committed_before(log: &BTreeMap<u64, Vec<LogObject>>, time: Timestamp) -> impl DoubleEndedIterator<Item = (u64, &Vec<LogObject>)> {
    let committed_at = |objects: &[LogObject]| {
        let entry = objects.iter().find(|object| !is_checkpoint(&object.key));
        entry.or(objects.first()).map_or(Timestamp::MAX, |object| object.modified)
    };
    let is_before = |objects: &[LogObject]| committed_at(objects) < time;
    let last = if simulation::has(Bug::CleanupStopsAtFutureEntry) {
        log.iter().take_while(|(_, objects)| is_before(objects)).last()
    } else {
        log.iter().rev().find(|(_, objects)| is_before(objects))
    };
    let last = last.map(|(version, _)| *version);
    let end = last.map_or(0, |last| last.saturating_add(1));
    log.range(..end).map(|(version, objects)| (*version, objects))
}

/// Removes every object of the log, in ascending order: what is left of a log that is removed in part cannot be mistaken for an older version.
pub(crate) async fn remove_log(bucket: &Arc<dyn Bucket>) -> Result<u64, TableError> {
    let keys: Vec<String> = bucket.list(keys::LOG, None).map_ok(|object| object.key).try_collect().await?;
    let mut removed = 0;
    bucket.delete(keys::LAST_CHECKPOINT, None).await?;
    for key in keys {
        bucket.delete(&key, None).await?;
        removed += 1;
    }
    Ok(removed)
}
