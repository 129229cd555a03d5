//! The daily vacuum: removes objects that no version names and old reports, and compares the image copies with the rows.
//!
//! All ages are differences of times of the store's clock: this machine's clock may be wrong, and must not cause the removal of objects in use.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use bytes::Bytes;
use datalake_core::{keys, row_id::RowId};
use datalake_store::{
    bucket::{Bucket, Head, Metadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::{delta::version::Version, table::Table};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    error::RunError,
    file_copies::{copy_sync::CopySync, former_copies},
};

/// The time between two vacuums.
const PERIOD: SignedDuration = SignedDuration::from_hours(24);

/// The age at which the progress of a run is removed that died before it could: no run is active without progress for a day.
const PROGRESS_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The age at which a report is removed: a quarter of a year, or 2,160 hourly runs.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The maximum number of reports, a run every 13 minutes of that time: `/runs` lists all of them, in ten pages, to find the newest.
const REPORTS_MAX: usize = 10_000;

/// The maximum number of reports that one vacuum removes, about 10 MB of keys. The next vacuum continues.
const REPORTS_REMOVED_MAX: usize = 100_000;

/// DELETE requests are small.
const DELETIONS_IN_FLIGHT: usize = 8;

/// In the metadata of the vacuum's record while it is active. The next run repeats a vacuum that died or failed.
const STATE: (&str, &str) = ("state", "active");

/// Vacuums if the last vacuum was a day ago, at the store's time `now`. The first run of a table only records the time. Returns the rows
/// with a linked file that is in neither the copy nor the source.
pub(crate) async fn vacuum_daily(
    table: &Table,
    version: &Version,
    copies: &mut CopySync<'_>,
    now: Timestamp,
) -> Result<BTreeSet<RowId>, RunError> {
    let bucket = table.bucket().as_ref();
    let (name, active) = STATE;
    let is_done = |head: &Head| head.metadata.get(name).is_none_or(|state| state != active);
    // A record that a wrong clock dated in the future must not defer the vacuum until then.
    let is_recent = |head: &Head| {
        let age = now.duration_since(head.meta.modified);
        age < PERIOD && (age > -PERIOD || simulation::has(Bug::VacuumTrustsFutureSchedule))
    };
    let mut lost = BTreeSet::new();
    match bucket.head(keys::LAST_VACUUM).await {
        Ok(head) if is_done(&head) && is_recent(&head) => return Ok(lost),
        Ok(_) => {
            record(bucket, now, &Metadata::from([(name.to_owned(), active.to_owned())])).await?;
            lost = vacuum(table, version, copies, now).await?;
        }
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    record(bucket, now, &Metadata::new()).await?;
    Ok(lost)
}

async fn record(bucket: &dyn Bucket, now: Timestamp, metadata: &Metadata) -> Result<(), RunError> {
    let text = Bytes::from(serde_json::json!({ "vacuumed_at": now }).to_string());
    bucket.put(keys::LAST_VACUUM, text, PutMode::Replace, metadata).await?;
    Ok(())
}

async fn vacuum(table: &Table, version: &Version, copies: &mut CopySync<'_>, now: Timestamp) -> Result<BTreeSet<RowId>, RunError> {
    // Damage in the log must not prevent the removal of image copies and reports.
    let files = table.vacuum().await;
    let recovered = copies.recover(version, now).await?;
    let former = files.as_ref().map(|files| &*files.former_datasets).unwrap_or_default();
    let former_copies_removed = former_copies::remove(table, version, former).await?;
    let reports_removed = remove_old_reports(table.bucket().as_ref(), now).await?;
    let files = files?;
    tracing::info!(
        data_files_removed = files.data_files_removed,
        rejects_files_removed = files.rejects_files_removed,
        log_objects_removed = files.log_objects_removed,
        staged_removed = files.staged_removed,
        images_differing = recovered.differing,
        images_removed = recovered.removed,
        former_copies_removed,
        reports_removed,
        "vacuum finished"
    );
    Ok(recovered.lost)
}

/// Removes the oldest reports of runs and the progress of dead ones, and returns how many objects it removed.
async fn remove_old_reports(bucket: &dyn Bucket, now: Timestamp) -> Result<usize, StoreError> {
    let mut kept = BinaryHeap::new();
    let mut doomed = Vec::new();
    let mut reports = bucket.list(keys::RUNS, None);
    while let Some(report) = reports.try_next().await? {
        if keys::parse_run_progress(&report.key).is_some() && now.duration_since(report.modified) > PROGRESS_AGE_MAX {
            doomed.push(report.key);
            continue;
        }
        if keys::parse_run_report(&report.key).is_none() {
            continue;
        }
        if now.duration_since(report.modified) > REPORT_AGE_MAX {
            doomed.push(report.key);
        } else {
            kept.push(Reverse((report.modified, report.key)));
            let oldest = if kept.len() > REPORTS_MAX { kept.pop() } else { None };
            doomed.extend(oldest.map(|Reverse((_, key))| key));
        }
        if doomed.len() >= REPORTS_REMOVED_MAX {
            break;
        }
    }
    let removed = doomed.len();
    stream::iter(doomed)
        .map(|key| async move { bucket.delete(&key, None).await })
        .buffer_unordered(DELETIONS_IN_FLIGHT)
        .try_collect::<()>()
        .await?;
    Ok(removed)
}
