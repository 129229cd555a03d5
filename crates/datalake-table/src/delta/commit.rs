//! The commit: one create-if-absent put of the next log entry. Readers see no effect before it, and everything after it can be repeated.
//!
//! A writer can be paused for days between any two requests, while other runs commit and clean up. The create is therefore fenced (it
//! expires minutes after the checks that precede it), and its result is only valid if the base entry still exists afterwards. A writer
//! never deletes entries, and never compares version numbers without digests.

use std::sync::Arc;

use datalake_core::{
    keys,
    reject::{self, ExcludedSource},
    run::{Counts, RunId, RunMode},
};
use datalake_store::{
    bucket::{Bucket, Metadata, Object, PutMode},
    error::StoreError,
    simulation::{self, Bug},
    unique_name::unique_name,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    delta::{
        actions::{Action, Add, CommitInfo, OwnInfo, Remove, TextMap},
        checkpoint,
        commit_attempt::CommitAttempt,
        data_file::DataFile,
        log, rejects_file,
        replay::{self, Replay},
        schema::{self, FORMAT_PROPERTY, RejectsState},
        stage::{Staged, StagedFile},
        version::Version,
    },
    digest::Digest,
    error::{CommitError, TableError},
    settings::TableSettings,
};

/// The name of the writer in the log.
const ENGINE: &str = concat!("datalake/", env!("CARGO_PKG_VERSION"));

/// After a put with an unknown outcome, the entry is read, and put again if it does not exist. The store has its own backoff.
const PUT_ATTEMPTS_MAX: u32 = 3;

/// Files that were staged longer ago are not committed. Cleanup removes files that no entry names after two days at the earliest, so
/// an entry never names a missing file.
const STAGED_AGE_MAX: SignedDuration = SignedDuration::from_hours(12);

/// The requests that check staged files are small.
const CHECKS_IN_FLIGHT: usize = 8;

/// What a commit records about its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitDetails {
    /// The run.
    pub run_id: RunId,
    /// Which sources the run read.
    pub mode: RunMode,
    /// What the run found and did.
    pub counts: Counts,
    /// The time of the run's clock at the commit.
    pub committed_at: Timestamp,
}

pub(crate) async fn commit(
    bucket: &Arc<dyn Bucket>,
    settings: TableSettings,
    base: Option<&Version>,
    staged: Staged,
    rejects: &[ExcludedSource],
    details: &CommitDetails,
) -> Result<Version, CommitError> {
    let number = base.map_or(0, |base| base.number() + 1);
    if staged.base != base.map(Version::id) {
        return Err(CommitError::Conflict { version: number });
    }
    if number > log::NUMBER_MAX {
        let reason = format!("the table has {number} versions, which is the maximum");
        return Err(TableError::corrupt(keys::log_entry(number - 1), reason).into());
    }
    let rejects_state = RejectsState {
        path: rejects_file::write(bucket, base, rejects).await?,
        ignored: reject::ignored_total_if_truncated(rejects, details.counts.ignored),
    };
    let actions = actions(base, &staged, rejects_state, details).map_err(|error| undecodable(number, error))?;
    let entry = encode(&actions).map_err(|error| undecodable(number, error))?;
    let attempt = CommitAttempt {
        number,
        digest: Digest::of(entry.as_bytes()),
        base: base.map(Version::digest),
    };

    // Made before the checks, so that a process that is paused between the checks and the create creates nothing.
    let fenced = bucket.fenced().await.map_err(TableError::from)?;
    check(bucket, &attempt, &staged, &actions, fenced.store_time).await?;
    let create_in = if simulation::has(Bug::CommitIsNotFenced) || simulation::has(Bug::CommitTrustsCreate) {
        bucket
    } else {
        &fenced.bucket
    };
    create(bucket, create_in, &attempt, &entry).await?;

    let mut replay = base.map(|base| Replay::from_state(&base.0)).unwrap_or_default();
    replay.set_commit_facts(replay::commit_facts(&actions, details.committed_at));
    replay.apply(&keys::log_entry(number), actions)?;
    let version = Version(Arc::new(replay.finish(number, attempt.digest)?));
    if number > 0
        && number.is_multiple_of(settings.commits_per_checkpoint.max(1))
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

/// Checks just before the create that the base is unchanged, and that all files that the entry names exist and will not be removed soon.
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
    let rejects_files = actions
        .iter()
        .filter_map(|action| action.meta_data.as_ref()?.rejects_path().map(keys::table_file));
    let files: Vec<String> = staged
        .added
        .iter()
        .map(|file| keys::table_file(&file.path))
        .chain(rejects_files)
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
        return stale("a staged data file is missing");
    }
    Ok(())
}

/// Whether the log contains the base of a commit. For a first version, whether the log is empty.
async fn has_base(bucket: &Arc<dyn Bucket>, attempt: &CommitAttempt) -> Result<bool, TableError> {
    if let Some(base) = attempt.base {
        return log::contains(bucket, attempt.number - 1, base).await;
    }
    let listing = log::list(bucket, 0).await?;
    Ok(listing.entries.is_empty() && listing.checkpoints.is_empty())
}

/// Creates the entry through `fenced`, and reads it and its base again: a successful create proves nothing if the base was removed while
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
        // The store retries requests itself, so a conflict or an expiry may be caused by the effect of an earlier attempt of the same
        // put.
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
        let found = match log::find_entry(bucket, version).await {
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
            // The entry was created, and has been replaced or removed since.
            (Some(_) | None, _) => Err(unknown(None)),
        };
    }
}

/// Whether the entry of an attempt, which exists, continues the history that its writer read.
async fn is_valid(bucket: &Arc<dyn Bucket>, attempt: &CommitAttempt) -> Result<bool, TableError> {
    if let Some(base) = attempt.base {
        return log::contains(bucket, attempt.number - 1, base).await;
    }
    // A log that was cleaned up has no entry 0. If it was created too late, there is a gap after it.
    let listing = log::list(bucket, 0).await?;
    let has_no_gap = (0..).zip(&listing.entries).all(|(expected, number)| expected == *number);
    let follows = match log::find_entry(bucket, 1).await? {
        Some(next) => follows(&next, attempt.digest)?,
        None => true,
    };
    Ok(has_no_gap && follows)
}

/// Whether an entry records the entry with this digest as its base, or records no base.
fn follows(entry: &Object, digest: Digest) -> Result<bool, TableError> {
    let facts = replay::commit_facts(&log::parse_entry(entry)?, entry.meta.modified);
    Ok(facts.base.is_none_or(|base| base == digest))
}

pub(crate) async fn is_committed(bucket: &Arc<dyn Bucket>, attempt: &CommitAttempt) -> Result<Option<bool>, TableError> {
    let Some(found) = log::find_entry(bucket, attempt.number).await? else {
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
        let Some(entry) = log::find_entry(bucket, number).await? else {
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
    rejects: RejectsState,
    details: &CommitDetails,
) -> Result<Vec<Action>, serde_json::Error> {
    let now_ms = details.committed_at.as_millisecond();
    let metadata = match base {
        None => Some(schema::metadata(unique_name().to_string(), now_ms, &staged.schema, &rejects)),
        Some(base)
            if base.0.metadata.rejects_state() != rejects
                || !staged.schema.is_of(&base.0.metadata)
                || base.0.metadata.configured(FORMAT_PROPERTY).is_none() =>
        {
            Some(base.0.metadata.with(&staged.schema, &rejects))
        }
        Some(_) => None,
    };
    let information = serde_json::to_value(commit_info(base, staged, rejects.path, details))?;
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
    actions.extend(staged.removed.iter().map(|file| Action {
        remove: Some(remove(file, now_ms)),
        ..Action::default()
    }));
    for file in &staged.added {
        actions.push(Action {
            add: Some(add(file, now_ms)?),
            ..Action::default()
        });
    }
    Ok(actions)
}

fn commit_info(base: Option<&Version>, staged: &Staged, rejects_path: Option<String>, details: &CommitDetails) -> CommitInfo {
    let rows: u64 = staged.added.iter().filter_map(|file| file.stats.num_records).sum();
    let bytes: u64 = staged.added.iter().map(|file| file.size).sum();
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
            rejects: rejects_path,
            writer_id: unique_name().to_string(),
            base: base.map(|base| base.digest().to_string()),
        },
    }
}

fn add(file: &StagedFile, now_ms: i64) -> Result<Add, serde_json::Error> {
    Ok(Add {
        path: file.path.clone(),
        partition_values: Some(TextMap::new()),
        size: i64::try_from(file.size).unwrap_or(i64::MAX),
        modification_time: now_ms,
        data_change: true,
        stats: Some(serde_json::to_string(&file.stats)?),
        tags: file.tags.clone(),
        deletion_vector: None,
    })
}

fn remove(file: &DataFile, now_ms: i64) -> Remove {
    Remove {
        path: file.path.to_string(),
        deletion_timestamp: Some(now_ms),
        data_change: true,
        extended_file_metadata: Some(true),
        partition_values: Some(TextMap::new()),
        size: Some(file.add.size),
    }
}

/// One JSON object per line.
fn encode(actions: &[Action]) -> Result<String, serde_json::Error> {
    let lines = actions.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.join("\n") + "\n")
}
