//! Removing what nobody needs any more: old log entries, data files of versions past their retention, what dead runs left behind.
//!
//! Pictures are none of this crate's business.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use datalake_core::keys::{self, LogKey};
use datalake_store::{bucket::Bucket, error::StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    actions::{Action, Remove},
    blocking::blocking,
    checkpoint::{self, RETENTION},
    error::TableError,
    log,
    version::{Version, percent_decoded},
};

/// A file that nobody names may belong to a commit that is under way. No run takes a day.
const UNNAMED_AGE_MIN: SignedDuration = SignedDuration::from_hours(24);
/// Entries and deletions are small requests.
const REQUESTS_IN_FLIGHT: usize = 8;

/// What a vacuum removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VacuumSummary {
    /// Data files.
    pub segments_removed: u64,
    /// Files of refusals.
    pub refusals_removed: u64,
    /// Bytes of both.
    pub bytes_removed: u64,
}

/// All ages are by the store's clock, and `now` has to be the time there.
pub(crate) async fn vacuum(bucket: &Arc<dyn Bucket>, now: Timestamp) -> Result<VacuumSummary, TableError> {
    let Some(version) = log::latest(bucket).await? else {
        return Ok(VacuumSummary::default());
    };
    let Named { segments, refusals } = named(bucket, &version, now).await?;
    let mut summary = VacuumSummary::default();
    let mut doomed = Vec::new();
    let mut objects = bucket.list(keys::TABLE, None);
    while let Some(object) = objects.try_next().await? {
        if now.duration_since(object.modified) < UNNAMED_AGE_MIN {
            continue;
        }
        if keys::parse_in_table(&object.key).is_some_and(|path| !segments.contains(path)) {
            summary.segments_removed += 1;
        } else if keys::is_refusals(&object.key) && !refusals.contains(&object.key) {
            summary.refusals_removed += 1;
        } else if keys::is_create_proof(&object.key) {
            // A run that died within its proof.
        } else {
            continue;
        }
        summary.bytes_removed += object.size;
        doomed.push(object.key);
    }
    let mut deletions = stream::iter(doomed)
        .map(|key| async move { bucket.delete(&key, None).await })
        .buffer_unordered(REQUESTS_IN_FLIGHT);
    while deletions.try_next().await?.is_some() {}
    Ok(summary)
}

/// What must stay.
struct Named {
    /// Paths of the data files that the version or one within the retention holds.
    segments: BTreeSet<String>,
    /// Keys of the files of refusals that a version still in the log names.
    refusals: BTreeSet<String>,
}

/// A data file is past its retention when the entry that removed it is, by the store's clock, and entries themselves stay as long. The time
/// within an entry is that of its writer's clock, which may be wrong: it can keep a file longer, where another engine has removed entries
/// earlier, and never removes one.
async fn named(bucket: &Arc<dyn Bucket>, version: &Version, now: Timestamp) -> Result<Named, TableError> {
    let held = version.segments().iter().map(|segment| percent_decoded(&segment.path));
    let oldest_ms = now.as_millisecond() - RETENTION.as_secs() * 1_000;
    let is_young = |remove: &Remove| remove.deletion_timestamp.unwrap_or(0) > oldest_ms;
    let buried = version.0.tombstones.iter().filter(|(_, remove)| is_young(remove));
    let mut named = Named {
        segments: held.chain(buried.map(|(path, _)| path.clone())).collect(),
        refusals: version.0.metadata.refusals().map(keys::in_table).into_iter().collect(),
    };
    let listing = log::list(bucket, 0).await?;
    // The oldest checkpoint names the file that held when the log, as it is left, begins.
    let checkpoint = listing.checkpoints.first().map(|version| keys::checkpoint(*version));
    let keys = checkpoint
        .into_iter()
        .chain(listing.entries.iter().map(|version| keys::log_entry(*version)))
        .collect::<Vec<_>>();
    let mut read = stream::iter(keys)
        .map(|key| async move { actions(bucket, &key).await })
        .buffer_unordered(REQUESTS_IN_FLIGHT);
    while let Some(logged) = read.try_next().await? {
        let is_retained = now.duration_since(logged.modified) <= RETENTION;
        for action in logged.actions {
            let refusals = action
                .meta_data
                .as_ref()
                .and_then(|metadata| metadata.refusals().map(keys::in_table));
            named.refusals.extend(refusals);
            let removed = action.remove.filter(|_| is_retained);
            named.segments.extend(removed.map(|remove| percent_decoded(&remove.path)));
        }
    }
    Ok(named)
}

/// Actions of the log, and when the store took them.
struct Logged {
    modified: Timestamp,
    actions: Vec<Action>,
}

/// The actions under a key of the log; none where a clean-up was faster.
async fn actions(bucket: &Arc<dyn Bucket>, key: &str) -> Result<Logged, TableError> {
    let object = match log::get(bucket, key).await {
        Ok(object) => object,
        Err(StoreError::NotFound { .. }) => {
            return Ok(Logged {
                modified: Timestamp::MIN,
                actions: Vec::new(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let modified = object.meta.modified;
    let actions = match keys::parse_log(key) {
        Some(LogKey::Checkpoint(_)) => blocking(move || checkpoint::decode(&object.meta.key, object.bytes)).await?,
        Some(LogKey::Entry(_)) | None => log::parse_entry(&object)?,
    };
    Ok(Logged { modified, actions })
}

/// Removes, at the store's time `now`, entries and checkpoints before the newest checkpoint that is itself past the retention: every version of the last week can
/// still be loaded. Oldest first, so that a clean-up that is cut short leaves a log without gaps.
pub(crate) async fn clean_log(bucket: &Arc<dyn Bucket>, now: Timestamp) -> Result<(), TableError> {
    let mut objects = bucket.list(keys::LOG, None);
    // By version, and of one version the checkpoint first: an entry without its checkpoint is a gap to nobody.
    let mut log: BTreeMap<(u64, String), Timestamp> = BTreeMap::new();
    while let Some(object) = objects.try_next().await? {
        if let Some(LogKey::Entry(version) | LogKey::Checkpoint(version)) = keys::parse_log(&object.key) {
            log.insert((version, object.key), object.modified);
        }
    }
    let old = |modified: &Timestamp| now.duration_since(*modified) > RETENTION;
    let is_checkpoint = |key: &str| matches!(keys::parse_log(key), Some(LogKey::Checkpoint(_)));
    let first_kept = log
        .iter()
        .rev()
        .find(|((_, key), modified)| is_checkpoint(key) && old(modified))
        .map(|((version, _), _)| *version);
    let Some(first_kept) = first_kept else { return Ok(()) };
    for ((_, key), _) in log
        .iter()
        .take_while(|((version, _), modified)| *version < first_kept && old(modified))
    {
        bucket.delete(key, None).await?;
    }
    Ok(())
}
