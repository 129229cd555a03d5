//! The commit: one create-if-absent put of the next entry. Everything before it is invisible, everything after it can be made again.

use std::sync::Arc;

use datalake_core::{keys, reject::OpenRefusal};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
};

use crate::{
    actions::{Action, Add, CommitInfo, OwnInfo, Remove, TextMap},
    checkpoint,
    error::{CommitError, TableError},
    log, refusals,
    replay::Replay,
    schema,
    stage::{NewSegment, Staged},
    table::{CommitDetails, Table},
    unique::unique,
    vacuum,
    version::{SegmentFile, Version},
};

/// Names the writer in the log, as the protocol asks.
const ENGINE: &str = concat!("datalake/", env!("CARGO_PKG_VERSION"));
/// After a put whose end is unknown the entry is read back, and put again where it is not there. The store has its own back-off.
const PUT_ATTEMPTS_MAX: u32 = 3;

pub(crate) async fn commit(
    table: &Table,
    base: Option<&Version>,
    staged: Staged,
    open: &[OpenRefusal],
    details: &CommitDetails,
) -> Result<Version, CommitError> {
    let number = base.map_or(0, |base| base.number() + 1);
    if staged.base != base.map(Version::number) {
        return Err(CommitError::Conflict { version: number });
    }
    let refusals = refusals::write(&table.bucket, base, open).await?;
    let writer_id = unique();
    let actions = actions(base, &staged, refusals, details, &writer_id).map_err(|error| undecodable(number, error))?;
    let entry = encode(&actions).map_err(|error| undecodable(number, error))?;
    create(&table.bucket, number, &entry, &writer_id).await?;

    let mut replay = base.map(|base| Replay::from_state(&base.0)).unwrap_or_default();
    replay.describe(&actions, details.committed_at);
    replay.apply(&keys::log_entry(number), actions)?;
    let version = Version(Arc::new(replay.finish(number)?));
    if number > 0 && number.is_multiple_of(table.settings.commits_per_checkpoint.max(1)) {
        maintain(table, &version).await;
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

/// The checkpoint, and what it makes superfluous. The commit stands whatever happens here; the next checkpoint makes up for it.
async fn maintain(table: &Table, version: &Version) {
    let checkpointed = async {
        // What is old is told by the clock of the store, which wrote this entry just now: a run's own may be off by a year.
        let now = table.bucket.head(&keys::log_entry(version.number())).await?.meta.modified;
        checkpoint::write(&table.bucket, version, now).await?;
        Ok::<_, TableError>(now)
    };
    let now = match checkpointed.await {
        Ok(now) => now,
        Err(error) => {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(
                table.version = version.number(),
                error,
                "the checkpoint was not written; readers read more entries"
            );
            return;
        }
    };
    if let Err(error) = vacuum::clean_log(&table.bucket, now).await {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            table.version = version.number(),
            error,
            "old log entries were not removed; the next checkpoint tries again"
        );
    }
}

/// Puts the entry. Whether a put that failed took effect is told by the writer's id in the entry that is there now.
async fn create(bucket: &Arc<dyn Bucket>, number: u64, entry: &str, writer_id: &str) -> Result<(), CommitError> {
    let key = keys::log_entry(number);
    let mut attempt = 1;
    loop {
        let failure = match bucket.put(&key, entry.to_owned().into(), PutMode::Create, &Metadata::new()).await {
            Ok(_) => return Ok(()),
            // The store retries by itself: a conflict may be with our own first try.
            Err(error @ (StoreError::Conflict { .. } | StoreError::Unavailable { .. })) => error,
            Err(error) => return Err(TableError::from(error).into()),
        };
        match log::get_if_there(bucket, &key).await {
            Ok(Some(object)) => {
                let actions = log::parse_entry(&object).unwrap_or_default();
                let own = actions
                    .iter()
                    .filter_map(|action| action.commit_info.as_ref())
                    .find_map(OwnInfo::of);
                return if own.is_some_and(|own| own.writer_id == writer_id) {
                    Ok(())
                } else {
                    Err(CommitError::Conflict { version: number })
                };
            }
            Ok(None) | Err(StoreError::Unavailable { .. }) if attempt < PUT_ATTEMPTS_MAX => attempt += 1,
            Ok(None) => return Err(TableError::from(failure).into()),
            Err(error) => return Err(TableError::from(error).into()),
        }
    }
}

fn actions(
    base: Option<&Version>,
    staged: &Staged,
    refusals: Option<String>,
    details: &CommitDetails,
    writer_id: &str,
) -> Result<Vec<Action>, serde_json::Error> {
    let now_ms = details.committed_at.as_millisecond();
    let metadata = match base {
        None => Some(schema::metadata(unique(), now_ms, refusals.as_deref())),
        Some(base) if base.0.metadata.refusals() != refusals.as_deref() => Some(base.0.metadata.with_refusals(refusals.as_deref())),
        Some(_) => None,
    };
    let information = serde_json::to_value(commit_info(base, staged, refusals, details, writer_id))?;
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

fn commit_info(base: Option<&Version>, staged: &Staged, refusals: Option<String>, details: &CommitDetails, writer_id: &str) -> CommitInfo {
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
            writer_id: writer_id.to_owned(),
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
