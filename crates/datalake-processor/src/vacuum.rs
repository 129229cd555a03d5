//! The daily vacuum: what no version names is removed, image copies are compared with the rows, both ways, and old reports are removed.
//!
//! Ages are those of the store's clock alone: a run's own may be off by a year, and would remove what is needed.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use bytes::Bytes;
use datalake_core::{
    keys,
    plan::{self, RecordedUser, SourceVersion},
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, Head, Metadata, ObjectMeta, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::{delta::version::Version, table::Table};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    error::RunError,
    image_notes::ImageNote,
    images,
    known::KnownUsers,
    settle::{self, Settled},
};

/// Between two vacuums.
const PERIOD: SignedDuration = SignedDuration::from_hours(24);

/// A copy that no row links may belong to a run that has not committed yet. Its note protects it for an hour; a day leaves a wide margin.
const ORPHAN_AGE_MIN: SignedDuration = SignedDuration::from_hours(24);

/// Reports are kept so long: a quarter of a year of runs, 2,160 hourly ones.
const REPORT_AGE_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

/// And at most so many, a run each 13 minutes of that time: `/runs` lists them all, ten pages, to find the newest.
const REPORTS_MAX: usize = 10_000;

/// Reports that one vacuum removes, some 10 MB of keys; the next one continues.
const REPORTS_REMOVED_MAX: usize = 100_000;

/// Deletions are small requests.
const DELETIONS_IN_FLIGHT: usize = 8;

/// In the metadata of the vacuum's record while it is active: one that died or failed is repeated by the next run.
const STATE: (&str, &str) = ("state", "begun");

/// Cleans up if the last time is a day ago, at the store's time `now`. The first run of a table only records the time. Returns the users whose
/// row links an image whose bytes are neither in the copy nor in the source.
pub(crate) async fn vacuum_daily(
    bucket: &dyn Bucket,
    table: &Table,
    version: &Version,
    note: &mut ImageNote,
    now: Timestamp,
) -> Result<BTreeSet<UserId>, RunError> {
    let (name, begun) = STATE;
    let is_done = |head: &Head| head.metadata.get(name).is_none_or(|state| state != begun);
    // A record that a wrong clock dated in the future must not put the vacuum off until then.
    let is_recent = |head: &Head| {
        let age = now.duration_since(head.meta.modified);
        age < PERIOD && (age > -PERIOD || simulation::has(Bug::VacuumTrustsFutureSchedule))
    };
    let mut lost = BTreeSet::new();
    match bucket.head(keys::LAST_VACUUM).await {
        Ok(head) if is_done(&head) && is_recent(&head) => return Ok(lost),
        Ok(_) => {
            record(bucket, now, &Metadata::from([(name.to_owned(), begun.to_owned())])).await?;
            lost = vacuum(bucket, table, version, note, now).await?;
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

async fn vacuum(
    bucket: &dyn Bucket,
    table: &Table,
    version: &Version,
    note: &mut ImageNote,
    now: Timestamp,
) -> Result<BTreeSet<UserId>, RunError> {
    // Damage in the log must not keep image copies and reports from being cleaned up.
    let files = table.vacuum().await;
    let candidates = compare_images(bucket, table, version, now).await?;
    note.record(bucket, candidates.keys().cloned()).await?;
    let Settled { removed, lost, .. } = settle::settle(bucket, table, version, &candidates, &BTreeSet::new()).await?;
    note.clear(bucket).await?;
    let reports_removed = remove_old_reports(bucket, now).await?;
    let files = files?;
    tracing::info!(
        data_files_removed = files.segments_removed,
        rejects_files_removed = files.refusals_removed,
        log_objects_removed = files.log_objects_removed,
        staged_removed = files.staged_removed,
        images_compared = candidates.len(),
        images_removed = removed,
        reports_removed,
        "vacuum ended"
    );
    Ok(lost)
}

/// Removes the reports of runs that are too old or too many, and gives their number.
async fn remove_old_reports(bucket: &dyn Bucket, now: Timestamp) -> Result<usize, StoreError> {
    let mut kept = BinaryHeap::new();
    let mut doomed = Vec::new();
    let mut reports = bucket.list(keys::RUNS, None);
    while let Some(report) = reports.try_next().await? {
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

/// The users whose copies are not what their rows say: missing, of another image, or linked by no row and old. The value says whether the copy may
/// be removed.
///
/// Copies are listed in the order of their keys, which is the rank order of their users.
async fn compare_images(bucket: &dyn Bucket, table: &Table, version: &Version, now: Timestamp) -> Result<BTreeMap<UserId, bool>, RunError> {
    let mut candidates = BTreeMap::new();
    let mut copies = Copies {
        objects: bucket.list(keys::IMAGES, None),
    };
    let mut users = KnownUsers::new(table, Some(version), &[], now).await?;
    let mut copy = copies.next().await?;
    let mut user = next_with_image(&mut users).await?;
    loop {
        let order = match (&copy, &user) {
            (Some((copied, _)), Some((user_id, _))) => plan::compare_key_order(copied, user_id),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(candidates),
        };
        match (order, &copy, &user) {
            (Ordering::Less, Some((user_id, object)), _) if now.duration_since(object.modified) >= ORPHAN_AGE_MIN => {
                candidates.insert(user_id.clone(), true);
            }
            (Ordering::Greater, _, Some((user_id, _))) => drop(candidates.insert(user_id.clone(), false)),
            (Ordering::Equal, Some((_, object)), Some((user_id, image))) if !images::is_copy_of(bucket, object, image).await? => {
                candidates.insert(user_id.clone(), false);
            }
            _ => {}
        }
        if order.is_le() {
            copy = copies.next().await?;
        }
        if order.is_ge() {
            user = next_with_image(&mut users).await?;
        }
    }
}

struct Copies {
    objects: BoxStream<'static, Result<ObjectMeta, StoreError>>,
}

impl Copies {
    /// The next object that is named like a copy.
    async fn next(&mut self) -> Result<Option<(UserId, ObjectMeta)>, StoreError> {
        while let Some(object) = self.objects.next().await.transpose()? {
            if let Some(user_id) = keys::parse_image(&object.key) {
                return Ok(Some((user_id, object)));
            }
        }
        Ok(None)
    }
}

async fn next_with_image(users: &mut KnownUsers<'_>) -> Result<Option<(UserId, SourceVersion)>, RunError> {
    while let Some(RecordedUser { user_id, image, .. }) = users.next().await? {
        if let Some(image) = image {
            return Ok(Some((user_id, image)));
        }
    }
    Ok(None)
}
