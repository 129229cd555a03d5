//! The commit: one create-if-absent put of the next log entry. Everything before it is invisible, everything after it can be made again.
//!
//! A writer can be paused for days between any two requests, while other runs commit and clean up. The create is therefore fenced (it expires
//! minutes after the checks that precede it), and its result counts only if the base entry is still there afterwards. Entries are never
//! deleted by a writer; numbers are compared together with digests.

use std::sync::Arc;

use datalake_core::{
    keys,
    reject::{self, ExcludedSource},
};
use datalake_store::{
    bucket::{Bucket, Metadata, Object, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    delta::{
        actions::{Action, Add, CommitInfo, OwnInfo, Remove, TextMap},
        checkpoint, log, rejects_file,
        replay::{self, Replay},
        schema::{self, FORMAT_PROPERTY, RefusalsState},
        stage::{NewSegment, Staged},
        unique_name::unique,
        version::{SegmentFile, Version},
    },
    digest::Digest,
    error::{CommitError, TableError},
    table::{CommitDetails, Table},
};

/// Names the writer in the log, as the protocol asks.
const ENGINE: &str = concat!("datalake/", env!("CARGO_PKG_VERSION"));

/// After a put whose outcome is unknown the entry is read back, and put again if it is not there. The store has its own back-off.
const PUT_ATTEMPTS_MAX: u32 = 3;

/// What was staged longer ago is not committed. Cleanup removes files that no entry names after two days at the earliest, so that an entry
/// never names a file that is gone.
const STAGED_AGE_MAX: SignedDuration = SignedDuration::from_hours(12);

/// Requests that check staged files are small.
const CHECKS_IN_FLIGHT: usize = 8;

/// A commit that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitAttempt {
    /// The version that it makes.
    pub number: u64,
    /// The digest of its entry.
    pub digest: Digest,
    /// The digest of the entry that it follows; none for the first version.
    pub base: Option<Digest>,
}

pub(crate) async fn commit(
    table: &Table,
    base: Option<&Version>,
    staged: Staged,
    open: &[ExcludedSource],
    details: &CommitDetails,
) -> Result<Version, CommitError> {
    let bucket = &table.bucket;
    let number = base.map_or(0, |base| base.number() + 1);
    if staged.base != base.map(Version::id) {
        return Err(CommitError::Conflict { version: number });
    }
    if number > log::NUMBER_MAX {
        let reason = format!("the table has {number} versions, and there can be no more");
        return Err(TableError::corrupt(keys::log_entry(number - 1), reason).into());
    }
    let refusals = RefusalsState {
        path: rejects_file::write(bucket, base, open).await?,
        ignored: reject::ignored_total_if_truncated(open, details.counts.ignored),
    };
    let actions = actions(base, &staged, refusals, details).map_err(|error| undecodable(number, error))?;
    let entry = encode(&actions).map_err(|error| undecodable(number, error))?;
    let attempt = CommitAttempt {
        number,
        digest: Digest::of(entry.as_bytes()),
        base: base.map(Version::digest),
    };

    // Made before the checks: a process that is paused between them and the create then creates nothing.
    let fenced = bucket.fenced().await.map_err(TableError::from)?;
    check(bucket, &attempt, &staged, &actions, fenced.store_time).await?;
    let create_in = if simulation::has(Bug::CommitIsNotFenced) || simulation::has(Bug::CommitTrustsCreate) {
        bucket
    } else {
        &fenced.bucket
    };
    create(bucket, create_in, &attempt, &entry).await?;

    let mut replay = base.map(|base| Replay::from_state(&base.0)).unwrap_or_default();
    replay.describe(replay::commit_facts(&actions, details.committed_at));
    replay.apply(&keys::log_entry(number), actions)?;
    let version = Version(Arc::new(replay.finish(number, attempt.digest)?));
    if number > 0
        && number.is_multiple_of(table.settings.commits_per_checkpoint.max(1))
        && let Err(error) = checkpoint::write(bucket, &version).await
    {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            table.version = number,
            error,
            "cannot write checkpoint; readers read more log entries"
        );
    }
    Ok(version)
}

fn undecodable(number: u64, error: serde_json::Error) -> CommitError {
    CommitError::Table(TableError::undecodable(
        keys::log_entry(number),
        "the entry cannot be encoded",
        error,
    ))
}

/// What must hold just before the create: the base is what it was, and everything that the entry names is there and will be.
async fn check(
    bucket: &Arc<dyn Bucket>,
    attempt: &CommitAttempt,
    staged: &Staged,
    actions: &[Action],
    store_time: Timestamp,
) -> Result<(), CommitError> {
    let version = attempt.number;
    let stale = |reason| Err(CommitError::Stale { version, reason });
    let trusts_staged = simulation::has(Bug::CommitTrustsStagedFiles);
    let ignores_age = trusts_staged || simulation::has(Bug::CommitIgnoresStagedAge);
    if store_time.duration_since(staged.since) >= STAGED_AGE_MAX && !ignores_age {
        return stale("its data files were staged 12 hours ago or earlier");
    }
    let skips_base = simulation::has(Bug::CommitSkipsBaseCheck) || simulation::has(Bug::CommitTrustsCreate);
    if !skips_base && !has_base(bucket, attempt).await? {
        return Err(CommitError::Conflict { version });
    }
    let refusals = actions
        .iter()
        .filter_map(|action| action.meta_data.as_ref()?.refusals().map(keys::table_file));
    let files: Vec<String> = staged
        .added
        .iter()
        .map(|file| keys::table_file(&file.path))
        .chain(refusals)
        .collect();
    let missing = stream::iter(files)
        .map(|key| async move {
            match bucket.head(&key).await {
                Ok(_) => Ok(false),
                Err(StoreError::NotFound { .. }) => Ok(true),
                Err(error) => Err(TableError::from(error)),
            }
        })
        .buffer_unordered(CHECKS_IN_FLIGHT)
        .try_any(std::future::ready);
    let skips_files = trusts_staged || simulation::has(Bug::CommitSkipsStagedCheck);
    if !skips_files && missing.await? {
        return stale("a data file that it staged is gone");
    }
    Ok(())
}

/// Whether the log ends with the base of a commit, as far as the base itself tells: before a first version, whether there is no log.
async fn has_base(bucket: &Arc<dyn Bucket>, attempt: &CommitAttempt) -> Result<bool, TableError> {
    if let Some(base) = attempt.base {
        return log::has(bucket, attempt.number - 1, base).await;
    }
    let listing = log::list(bucket, 0).await?;
    Ok(listing.entries.is_empty() && listing.checkpoints.is_empty())
}

/// Creates the entry through `fenced`, and reads it and its base again: a create that succeeded proves nothing if the base was removed while
/// this process was paused.
async fn create(bucket: &Arc<dyn Bucket>, fenced: &Arc<dyn Bucket>, attempt: &CommitAttempt, entry: &str) -> Result<(), CommitError> {
    let version = attempt.number;
    let key = keys::log_entry(version);
    let unknown = |source: Option<Box<TableError>>| CommitError::Unknown {
        attempt: attempt.clone(),
        source,
    };
    let mut puts = 1;
    loop {
        // The store retries by itself: a conflict may be with the effect of an earlier request of this very put, and so may an expiry.
        let mode = if simulation::has(Bug::CommitReplacesEntry) {
            PutMode::Replace
        } else {
            PutMode::Create
        };
        let skips_check = simulation::has(Bug::CommitSkipsCheckAfter) || simulation::has(Bug::CommitTrustsCreate);
        let failure = match fenced.put(&key, entry.to_owned().into(), mode, &Metadata::new()).await {
            Ok(_) if skips_check => return Ok(()),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        let found = match log::entry_if_there(bucket, version).await {
            Ok(found) => found.map(|object| Digest::of(&object.bytes)),
            Err(error) => return Err(unknown(Some(Box::new(error)))),
        };
        return match (found, failure) {
            (Some(found), _) if found == attempt.digest => match is_valid(bucket, attempt).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(unknown(None)),
                Err(error) => Err(unknown(Some(Box::new(error)))),
            },
            (Some(_), Some(_)) => Err(CommitError::Conflict { version }),
            (None, Some(StoreError::Expired { .. })) => Err(CommitError::Stale {
                version,
                reason: "its create expired before it reached the store",
            }),
            (None, Some(StoreError::Unavailable { .. })) if puts < PUT_ATTEMPTS_MAX => {
                puts += 1;
                continue;
            }
            (None, Some(error @ StoreError::Unavailable { .. })) => Err(unknown(Some(Box::new(error.into())))),
            (None, Some(error)) if !matches!(error, StoreError::Conflict { .. }) => Err(TableError::from(error).into()),
            // Created and replaced, or created and removed since.
            (Some(_) | None, _) => Err(unknown(None)),
        };
    }
}

/// Whether the entry of an attempt, which is there, continues the history that its writer read.
async fn is_valid(bucket: &Arc<dyn Bucket>, attempt: &CommitAttempt) -> Result<bool, TableError> {
    if let Some(base) = attempt.base {
        return log::has(bucket, attempt.number - 1, base).await;
    }
    // A log that was cleaned up has no entry 0: one that was created late is followed by a gap.
    let listing = log::list(bucket, 0).await?;
    let has_no_gap = (0..).zip(&listing.entries).all(|(expected, number)| expected == *number);
    let follows = match log::entry_if_there(bucket, 1).await? {
        Some(next) => follows(&next, attempt.digest)?,
        None => true,
    };
    Ok(has_no_gap && follows)
}

/// Whether an entry says that it follows the one of this digest, or says nothing of it.
fn follows(entry: &Object, digest: Digest) -> Result<bool, TableError> {
    let facts = replay::commit_facts(&log::parse_entry(entry)?, entry.meta.modified);
    Ok(facts.base.is_none_or(|base| base == digest))
}

pub(crate) async fn is_committed(bucket: &Arc<dyn Bucket>, attempt: &CommitAttempt) -> Result<Option<bool>, TableError> {
    let Some(found) = log::entry_if_there(bucket, attempt.number).await? else {
        return Ok(None);
    };
    if Digest::of(&found.bytes) != attempt.digest {
        return Ok(Some(false));
    }
    if is_valid(bucket, attempt).await? {
        return Ok(Some(true));
    }
    let later = log::list(bucket, attempt.number + 1).await?;
    let (mut number, mut digest) = (attempt.number, attempt.digest);
    let newest = later.entries.last().max(later.checkpoints.last()).copied().unwrap_or(number);
    while number < newest {
        number += 1;
        let Some(entry) = log::entry_if_there(bucket, number).await? else {
            return Ok(None);
        };
        let facts = replay::commit_facts(&log::parse_entry(&entry)?, entry.meta.modified);
        if facts.base != Some(digest) {
            return Ok(None);
        }
        digest = Digest::of(&entry.bytes);
    }
    Ok(Some(true))
}

fn actions(
    base: Option<&Version>,
    staged: &Staged,
    refusals: RefusalsState,
    details: &CommitDetails,
) -> Result<Vec<Action>, serde_json::Error> {
    let now_ms = details.committed_at.as_millisecond();
    let metadata = match base {
        None => Some(schema::metadata(unique(), now_ms, &refusals)),
        Some(base) if base.0.metadata.refusals_state() != refusals || base.0.metadata.configured(FORMAT_PROPERTY).is_none() => {
            Some(base.0.metadata.with_refusals(&refusals))
        }
        Some(_) => None,
    };
    let information = serde_json::to_value(commit_info(base, staged, refusals.path, details))?;
    let mut actions = vec![Action {
        commit_info: Some(information),
        ..Action::default()
    }];
    if base.is_none() {
        actions.push(Action {
            protocol: Some(schema::protocol()),
            ..Action::default()
        });
    }
    actions.extend(metadata.map(|metadata| Action {
        meta_data: Some(metadata),
        ..Action::default()
    }));
    actions.extend(staged.removed.iter().map(|segment| Action {
        remove: Some(remove(segment, now_ms)),
        ..Action::default()
    }));
    for segment in &staged.added {
        actions.push(Action {
            add: Some(add(segment, now_ms)?),
            ..Action::default()
        });
    }
    Ok(actions)
}

fn commit_info(base: Option<&Version>, staged: &Staged, refusals: Option<String>, details: &CommitDetails) -> CommitInfo {
    let rows: u64 = staged.added.iter().filter_map(|segment| segment.stats.num_records).sum();
    let bytes: u64 = staged.added.iter().map(|segment| segment.size).sum();
    let metrics = [
        ("numTargetRowsInserted", details.counts.added.to_string()),
        ("numTargetRowsUpdated", details.counts.changed.to_string()),
        ("numTargetRowsDeleted", details.counts.removed.to_string()),
        ("numTargetFilesAdded", staged.added.len().to_string()),
        ("numTargetFilesRemoved", staged.removed.len().to_string()),
        ("numTargetBytesAdded", bytes.to_string()),
        ("numOutputRows", rows.to_string()),
    ];
    let run_id = details.run_id.clone();
    CommitInfo {
        timestamp: details.committed_at.as_millisecond(),
        operation: if base.is_none() { "CREATE TABLE AS SELECT" } else { "MERGE" },
        operation_parameters: TextMap::from([("mode".to_owned(), Some(details.mode.as_str().to_owned()))]),
        operation_metrics: metrics.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect(),
        engine_info: ENGINE,
        datalake: OwnInfo {
            run_id,
            mode: details.mode,
            counts: details.counts.clone(),
            refusals,
            writer_id: unique(),
            base: base.map(|base| base.digest().to_string()),
        },
    }
}

fn add(segment: &NewSegment, now_ms: i64) -> Result<Add, serde_json::Error> {
    Ok(Add {
        path: segment.path.clone(),
        partition_values: Some(TextMap::new()),
        size: i64::try_from(segment.size).unwrap_or(i64::MAX),
        modification_time: now_ms,
        data_change: true,
        stats: Some(serde_json::to_string(&segment.stats)?),
        tags: None,
        deletion_vector: None,
    })
}

fn remove(segment: &SegmentFile, now_ms: i64) -> Remove {
    Remove {
        path: segment.path.to_string(),
        deletion_timestamp: Some(now_ms),
        data_change: true,
        extended_file_metadata: Some(true),
        partition_values: Some(TextMap::new()),
        size: Some(segment.add.size),
    }
}

/// One object a line.
fn encode(actions: &[Action]) -> Result<String, serde_json::Error> {
    let lines = actions.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.join("\n") + "\n")
}
