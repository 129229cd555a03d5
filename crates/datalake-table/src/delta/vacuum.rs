//! Removes log entries and files past the table's retention, and the remains of dead runs.
//!
//! This module never removes images, sources or `output.csv`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use datalake_core::{
    dataset::Dataset,
    keys::{self, LogKey},
};
use datalake_store::{
    bucket::{Bucket, Etag, Fenced, ObjectMeta},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    delta::decode::decode,
    delta::{
        actions::{Action, Metadata, Remove},
        checkpoint,
        data_file::percent_decoded,
        load, log,
        retention::Retention,
        schema::TableSchema,
        version::Version,
    },
    error::TableError,
};

/// The age of an object that was written to check create-if-absent. Such a check takes seconds.
const CREATE_PROOF_AGE_MIN: SignedDuration = SignedDuration::from_hours(48);

/// How much longer than the retention a superseded entry may stay. A lake that changes every hour gets a checkpoint earlier, by a commit.
const SUPERSEDED_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Times of the store are rounded to seconds, and its servers may differ by seconds. This is far below every age in this file.
const STORE_CLOCK_ERROR_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Reads of entries and deletions are small requests.
const REQUESTS_IN_FLIGHT: usize = 8;

/// The objects that a vacuum removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VacuumSummary {
    /// The number of data files.
    pub data_files_removed: u64,
    /// The number of rejects files.
    pub rejects_files_removed: u64,
    /// The bytes of both.
    pub bytes_removed: u64,
    /// The number of entries and checkpoints of the log.
    pub log_objects_removed: u64,
    /// The number of staged files and multipart uploads of dead writers.
    pub staged_removed: u64,
    /// Other declarations that the table had in the versions of the log. Their copies of files may still exist.
    pub former_datasets: Vec<Arc<Dataset>>,
}

pub(crate) async fn vacuum(bucket: &Arc<dyn Bucket>) -> Result<VacuumSummary, TableError> {
    // The sweep comes first: a writer whose staged entry is swept here creates nothing later, so the log cannot name other files while
    // the vacuum decides.
    let mut summary = VacuumSummary {
        staged_removed: bucket.sweep().await?,
        ..VacuumSummary::default()
    };
    let fenced = bucket.fenced().await?;
    let now = fenced.store_time;
    let Some(version) = load::latest(bucket).await? else {
        return Ok(summary);
    };
    let retention = Retention::of(&version.0.metadata);
    summary.log_objects_removed = clean_log(bucket, &fenced, &version, retention.log).await?;
    let KeptFiles {
        data_files,
        rejects_files,
        former_datasets,
    } = kept_files(bucket, &version, now, retention.deleted_files).await?;
    summary.former_datasets = former_datasets;
    let unnamed_age_min = if simulation::has(Bug::VacuumRemovesYoungFiles) {
        SignedDuration::from_hours(1)
    } else {
        retention.deleted_files
    };
    let without_files = summary.clone();
    let mut to_remove = Vec::new();
    let mut objects = bucket.list(keys::TABLE, None);
    while let Some(object) = objects.try_next().await? {
        let age = now.duration_since(object.modified);
        if keys::parse_data_file(&object.key).is_some_and(|path| age > unnamed_age_min && !data_files.contains(path)) {
            summary.data_files_removed += 1;
        } else if keys::is_rejects_file(&object.key) && age > unnamed_age_min && !rejects_files.has(&object.key) {
            summary.rejects_files_removed += 1;
        } else if keys::is_create_proof(&object.key) && age > CREATE_PROOF_AGE_MIN {
            // Its run died during the check.
        } else {
            continue;
        }
        summary.bytes_removed += object.size;
        to_remove.push(object.key);
    }
    if is_set_back(bucket, now).await? {
        return Ok(without_files);
    }
    let mut deletions = stream::iter(to_remove)
        .map(|key| {
            let bucket = &fenced.bucket;
            async move { bucket.delete(&key, None).await }
        })
        .buffer_unordered(REQUESTS_IN_FLIGHT);
    while let Some(deleted) = deletions.next().await {
        match deleted {
            Ok(()) => {}
            // This vacuum was paused, or the store's clock was set. The next vacuum decides again.
            Err(StoreError::Expired { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    drop(deletions);
    Ok(summary)
}

/// Whether the store's clock was set back since `earlier`. Objects that were written since then look old, and the next vacuum decides about them.
/// Call it after the listing whose ages are compared with `earlier`.
async fn is_set_back(bucket: &Arc<dyn Bucket>, earlier: Timestamp) -> Result<bool, TableError> {
    let now = bucket.fenced().await?.store_time;
    let is_set_back = earlier.duration_since(now) > STORE_CLOCK_ERROR_MAX;
    if is_set_back {
        tracing::warn!(%earlier, %now, "the store's clock was set back; the next vacuum removes old objects");
    }
    Ok(is_set_back)
}

/// The files that must be kept.
struct KeptFiles {
    /// The paths of the data files of the newest version and of versions within the retention.
    data_files: BTreeSet<String>,
    /// The rejects files.
    rejects_files: KeptRejectsFiles,
    /// Other declarations than that of the newest version.
    former_datasets: Vec<Arc<Dataset>>,
}

/// The rejects files of the newest version and of versions within the retention. A version is within the retention until its successor is
/// past it. The files contain excerpts of sources, so they are not kept only because an older version is still in the log.
#[derive(Default)]
struct KeptRejectsFiles {
    keys: BTreeSet<String>,
    /// The file of the last version that was read.
    current: Option<String>,
    /// Another vacuum removed a part of the log during the read. It is unknown which versions name a file, so all files are kept.
    is_incomplete: bool,
}

impl KeptFiles {
    /// Adds the declaration of a version, unless it is that of the newest one or cannot be parsed.
    fn add_dataset(&mut self, metadata: &Metadata, newest: &Version) {
        if let Ok(schema) = TableSchema::of_metadata(metadata)
            && schema.dataset() != newest.dataset()
            && !self.former_datasets.contains(schema.dataset())
        {
            self.former_datasets.push(Arc::clone(schema.dataset()));
        }
    }
}

impl KeptRejectsFiles {
    fn has(&self, key: &str) -> bool {
        self.is_incomplete || self.keys.contains(key)
    }

    /// Applies the metadata of the next object of the log.
    fn apply(&mut self, metadata: &Metadata, is_retained: bool) {
        let next = metadata.rejects_path().map(keys::table_file);
        if is_retained {
            self.keys.extend(next.clone());
            self.keys.extend(std::mem::replace(&mut self.current, next));
        } else {
            self.current = next;
        }
    }
}

/// Finds the files to keep. A data file is past its retention when the entry that removed it is, by the store's clock. The time inside an
/// entry comes from its writer's clock, which may be wrong: it can keep a file longer, if another engine has removed entries earlier, but
/// never removes a file.
async fn kept_files(
    bucket: &Arc<dyn Bucket>,
    version: &Version,
    now: Timestamp,
    retention: SignedDuration,
) -> Result<KeptFiles, TableError> {
    let current = version.data_files().iter().map(|file| percent_decoded(&file.path));
    let oldest_ms = now.as_millisecond() - retention.as_secs() * 1_000;
    let is_young = |remove: &Remove| remove.deletion_timestamp.unwrap_or(0) > oldest_ms;
    let removed_files = version.0.tombstones.iter();
    let removed_files = removed_files.filter(|(_, remove)| is_young(remove) && !simulation::has(Bug::VacuumForgetsRemovedFiles));
    let mut kept_files = KeptFiles {
        data_files: current.chain(removed_files.map(|(path, _)| path.clone())).collect(),
        rejects_files: KeptRejectsFiles::default(),
        former_datasets: Vec::new(),
    };
    kept_files
        .rejects_files
        .keys
        .extend(version.0.metadata.rejects_path().map(keys::table_file));
    let listing = log::list(bucket, 0).await?;
    // The oldest checkpoint names the rejects file of the version with which the remaining log begins.
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
            kept_files.rejects_files.is_incomplete = true;
            continue;
        };
        // Files that another run commits during this vacuum are kept, even if the store's clock is wrong.
        let is_retained = is_later || now.duration_since(logged.modified) <= retention;
        for action in logged.actions {
            if let Some(metadata) = &action.meta_data {
                kept_files.rejects_files.apply(metadata, is_retained);
                kept_files.add_dataset(metadata, version);
            }
            kept_files
                .data_files
                .extend(action.add.iter().map(|add| percent_decoded(&add.path)).filter(|_| is_retained));
            let removed = action
                .remove
                .filter(|_| is_retained && !simulation::has(Bug::VacuumForgetsRemovedFiles));
            kept_files.data_files.extend(removed.map(|remove| percent_decoded(&remove.path)));
        }
    }
    if simulation::has(Bug::VacuumForgetsRejectsFile) {
        kept_files.rejects_files = KeptRejectsFiles::default();
    }
    Ok(kept_files)
}

/// The actions of an object of the log, and its modification time.
struct Logged {
    modified: Timestamp,
    actions: Vec<Action>,
}

/// The actions of an object of the log. None if another vacuum has removed it.
async fn actions(bucket: &Arc<dyn Bucket>, key: &str) -> Result<Option<Logged>, TableError> {
    let bytes_max = log::ENTRY_BYTES_MAX.max(log::CHECKPOINT_BYTES_MAX);
    let Some(object) = log::find(bucket, key, bytes_max).await? else {
        return Ok(None);
    };
    let modified = object.meta.modified;
    let actions = match keys::parse_log(key) {
        // No version can be loaded from a damaged checkpoint, and the remaining entries name the files of all other versions.
        Some(LogKey::Checkpoint(_)) => match decode(object, checkpoint::decode_actions).await {
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

/// Removes the entries and checkpoints of versions that were superseded before the retention, and returns their number.
///
/// The versions within the retention can still be loaded, from the newest checkpoint of a version that was committed before it. If this
/// would keep superseded entries for longer than [`SUPERSEDED_AGE_MAX`], the newest version before the retention gets a checkpoint. Objects are
/// removed in ascending order, one at a time, and the first failure ends the removal, so the remaining log never has gaps: if an entry
/// exists, all later entries exist.
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
    if let Some(version) = version_to_checkpoint(&log, newest, now, retention, first_kept(&log)) {
        if version == newest.number() {
            checkpoint::write(bucket, newest).await?;
        } else {
            checkpoint::write(bucket, &load::at(bucket, version).await?).await?;
        }
        log = log_objects(bucket).await?;
    }
    let Some(first_kept) = first_kept(&log) else { return Ok(0) };
    let (mut removed, end) = (0, first_kept.min(newest.number()));
    if log.range(..end).next().is_none() || is_set_back(bucket, now).await? {
        return Ok(0);
    }
    // Without the entries before it, a damaged checkpoint could not be replaced.
    if !simulation::has(Bug::CleanupIgnoresCheckpoints) && !checkpoint::is_intact(bucket, first_kept).await? {
        tracing::warn!(
            key = keys::checkpoint(first_kept),
            "checkpoint is damaged; keeping the log before it"
        );
        return Ok(0);
    }
    let to_remove: Vec<&LogObject> = if simulation::has(Bug::CleanupDescends) {
        log.range(..end).rev().flat_map(|(_, objects)| objects).collect()
    } else {
        log.range(..end).flat_map(|(_, objects)| objects).collect()
    };
    for object in to_remove {
        match fenced.bucket.delete(&object.key, Some(&object.etag)).await {
            Ok(()) => removed += 1,
            Err(StoreError::NotFound { .. }) => {}
            // The object was replaced, or this vacuum was paused. The next vacuum decides again.
            Err(StoreError::Conflict { .. } | StoreError::Expired { .. }) => break,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, object.key = %object.key, "cannot remove log entry; the next vacuum tries again");
                break;
            }
        }
    }
    Ok(removed)
}

/// The newest version that was committed before the retention, if earlier entries would be kept for too long because it has no checkpoint.
/// `first_kept` is the newest version before the retention that has one.
fn version_to_checkpoint(
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
    // In a lake that does not change, no later commit writes a checkpoint.
    let is_newest = newest_old == newest.number();
    let is_kept_too_long = |version: u64| first_kept.is_none_or(|first_kept| version >= first_kept) && version < newest_old;
    let mut old = committed_before(log, began(retention.saturating_add(SUPERSEDED_AGE_MAX)));
    (is_newest || old.any(|(version, _)| is_kept_too_long(version))).then_some(newest_old)
}

/// The entries and checkpoints of the log by version. The checkpoint of a version is first, so that the remaining log starts with a
/// readable entry or with a complete version.
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

/// The versions that were committed before `time`, ascending. A version is at least as old as the next one: an entry that is dated in the
/// future because of a wrong clock must not keep the whole log.
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

/// Removes all objects of the log, in ascending order, so that a partly removed log cannot be mistaken for an older version.
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
