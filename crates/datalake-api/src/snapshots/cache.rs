//! The cache of earlier versions, and its bounds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use datalake_table::{
    delta::version::{Version, VersionFacts},
    memory::snapshot::Snapshot,
};
use futures_util::future::{BoxFuture, Shared};
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Semaphore, time::Instant};

use crate::snapshots::error::VersionError;

/// A client that pages through a version requests its next page before this number of newer versions is committed, at one run a minute.
const SNAPSHOTS_MAX: usize = 16;

/// A client that pages through a version requests its next page within a few minutes. After that, the version is loaded from the store
/// again.
const IDLE_MAX: Duration = Duration::from_mins(5);

/// Cached versions have at most as many rows that are not shared with the latest version as that version has, or this number if the table
/// is small: one data file, about 10 MB.
const ROWS_MIN: usize = 128_000;

/// Each load may use as much memory as the latest version.
const LOADS_MAX: usize = 2;

/// Concurrent reads of single rows from data files. Each holds a decoded data file, about 60 MB.
const ROW_READS_MAX: usize = 2;

/// The cache of versions before the latest. A [`crate::snapshots::watch::TableWatch`] owns it, so a superseded version is cached at
/// once.
#[derive(Debug)]
pub struct VersionCache {
    snapshots: Mutex<Snapshots>,
    /// The permits of loads.
    pub loads: Semaphore,
    /// The permits of reads of single rows.
    pub row_reads: Semaphore,
    /// The facts of log entries. Readers of entries lock it, because concurrent readers would read the same entries.
    pub facts: tokio::sync::Mutex<FactsCache>,
    rows_min: usize,
}

/// The snapshots in memory.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// The most recently used one is the last.
    cached: Vec<CachedSnapshot>,
    /// All snapshots that exist, including those that only the reader of a long response still uses.
    alive: Vec<Weak<Snapshot>>,
    /// The loads in progress, by table ID and version.
    pub loading: BTreeMap<(String, u64), Loading>,
}

#[derive(Debug)]
struct CachedSnapshot {
    snapshot: Arc<Snapshot>,
    used_at: Instant,
}

/// A load that all requests for the version share.
pub(crate) type Loading = Shared<BoxFuture<'static, Result<Arc<Snapshot>, VersionError>>>;

/// The facts of log entries. They never change, unless another table replaces this one.
#[derive(Debug, Default)]
pub struct FactsCache {
    table_id: String,
    /// The oldest version in the last listing of the log.
    pub first: Option<u64>,
    /// The last listing.
    pub listing: Option<LogListing>,
    /// The facts by version.
    pub by_number: BTreeMap<u64, VersionFacts>,
}

/// A listing of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogListing {
    /// When the request was sent to the store.
    pub started_at: Instant,
    /// The oldest version.
    pub result: Result<Option<u64>, VersionError>,
}

impl VersionCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::with_rows_min(ROWS_MIN)
    }

    fn with_rows_min(rows_min: usize) -> Self {
        Self {
            rows_min,
            snapshots: Mutex::default(),
            loads: Semaphore::new(LOADS_MAX),
            row_reads: Semaphore::new(ROW_READS_MAX),
            facts: tokio::sync::Mutex::default(),
        }
    }

    /// Adds a version that was loaded or superseded.
    pub fn insert(&self, snapshot: &Arc<Snapshot>, newest: &Snapshot) {
        let (table_id, number) = (snapshot.version().table_id(), snapshot.version().number());
        {
            let mut snapshots = self.lock();
            if snapshots.touch(table_id, number).is_none() {
                snapshots.alive.push(Arc::downgrade(snapshot));
                snapshots.cached.push(CachedSnapshot {
                    snapshot: Arc::clone(snapshot),
                    used_at: Instant::now(),
                });
            }
        }
        self.evict(newest);
    }

    /// Removes the versions that are idle, those of other tables, and those over the limits.
    pub fn evict(&self, newest: &Snapshot) {
        let mut evicted = Vec::new();
        let mut snapshots = self.lock();
        snapshots.alive.retain(|snapshot| snapshot.strong_count() > 0);
        let is_current = |cached: &CachedSnapshot| {
            cached.used_at.elapsed() < IDLE_MAX && cached.snapshot.version().table_id() == newest.version().table_id()
        };
        evicted.extend(snapshots.cached.extract_if(.., |cached| !is_current(cached)));
        let is_over_limit = |cached: &[CachedSnapshot]| {
            let rows = || Snapshot::rows_not_in(newest, cached.iter().map(|cached| &*cached.snapshot));
            cached.len() > SNAPSHOTS_MAX || cached.len() > 1 && rows() > self.rows_max(newest)
        };
        while is_over_limit(&snapshots.cached) {
            evicted.push(snapshots.cached.remove(0));
        }
        drop(snapshots);
        // Freeing a large version takes a while, so it happens outside of the lock.
        drop(evicted);
    }

    /// Removes all versions and all facts.
    pub async fn clear(&self) {
        let evicted = std::mem::take(&mut self.lock().cached);
        // Freeing a large version takes a while, so it happens outside of the lock.
        drop(evicted);
        *self.facts.lock().await = FactsCache::default();
    }

    /// Whether readers of long responses hold so many rows of evicted versions that no other version should be loaded.
    pub fn is_full(&self, newest: &Snapshot) -> bool {
        let in_use = self.lock().evicted_in_use();
        // The last reference to a version may be dropped here, so this happens outside of the lock.
        Snapshot::rows_not_in(newest, in_use.iter().map(|snapshot| &**snapshot)) > self.rows_max(newest)
    }

    /// The maximum number of rows of earlier versions that are not shared with the latest.
    fn rows_max(&self, newest: &Snapshot) -> usize {
        newest.len().max(self.rows_min)
    }

    /// The snapshot in memory whose number is nearest: it probably shares most data files with the version of this number.
    pub fn nearest(&self, newest: &Arc<Snapshot>, number: u64) -> Arc<Snapshot> {
        let snapshots = self.lock();
        let is_of_table = |cached: &&CachedSnapshot| cached.snapshot.version().table_id() == newest.version().table_id();
        let cached = snapshots.cached.iter().filter(is_of_table).map(|cached| &cached.snapshot);
        let distance = |snapshot: &&Arc<Snapshot>| snapshot.version().number().abs_diff(number);
        Arc::clone(
            cached
                .min_by_key(distance)
                .filter(|cached| distance(cached) < distance(&newest))
                .unwrap_or(newest),
        )
    }

    /// The snapshots, locked.
    pub fn lock(&self) -> MutexGuard<'_, Snapshots> {
        self.snapshots.lock()
    }
}

impl Snapshots {
    /// The snapshots that are in use and not in the cache.
    fn evicted_in_use(&mut self) -> Vec<Arc<Snapshot>> {
        self.alive.retain(|snapshot| snapshot.strong_count() > 0);
        let is_cached = |snapshot: &Arc<Snapshot>| self.cached.iter().any(|cached| Arc::ptr_eq(&cached.snapshot, snapshot));
        self.alive
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|snapshot| !is_cached(snapshot))
            .collect()
    }

    /// The cached version, which becomes the most recently used one.
    pub fn touch(&mut self, table_id: &str, number: u64) -> Option<Arc<Snapshot>> {
        let is_requested =
            |cached: &CachedSnapshot| (cached.snapshot.version().table_id(), cached.snapshot.version().number()) == (table_id, number);
        let mut found = self.cached.remove(self.cached.iter().position(is_requested)?);
        found.used_at = Instant::now();
        let snapshot = Arc::clone(&found.snapshot);
        self.cached.push(found);
        Some(snapshot)
    }
}

impl FactsCache {
    /// Clears the cache if the latest version belongs to another table.
    pub fn reset_if_replaced(&mut self, newest: &Version) {
        if self.table_id != newest.table_id() {
            *self = Self {
                table_id: newest.table_id().to_owned(),
                ..Self::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::{
        dataset::{Dataset, Value},
        row::{Provenance, Row},
        row_id::RowId,
        run::{Counts, RunId, RunMode},
    };
    use datalake_store::memory::MemoryBucket;
    use datalake_table::{
        delta::{commit::CommitDetails, edit::Edit},
        table::Table,
    };
    use jiff::Timestamp;

    use super::*;

    /// Commits a version of ten rows, each with this name.
    async fn commit(table: &Table, first_name: &str) -> Arc<Snapshot> {
        let run_id = RunId::parse("run-1").unwrap();
        let edit = |number: u8| {
            Edit::Put(Row {
                row_id: RowId::parse(&number.to_string()).unwrap(),
                values: [
                    Some(Value::Text(first_name.into())),
                    Some(Value::Text("Last".into())),
                    Some(Value::EpochMs(0)),
                ]
                .into(),
                csv: Provenance {
                    etag: first_name.into(),
                    size: 1,
                    modified: Timestamp::UNIX_EPOCH,
                },
                files: [None].into(),
                run_id: run_id.clone(),
            })
        };
        let base = table.latest().await.unwrap();
        let edits = (0..10).map(edit).collect();
        let staged = table.stage(base.as_ref(), &Dataset::shared_users(), edits).await.unwrap();
        let details = CommitDetails {
            run_id: run_id.clone(),
            mode: RunMode::Incremental,
            counts: Counts::default(),
            committed_at: Timestamp::UNIX_EPOCH,
        };
        table.commit(base.as_ref(), staged, &[], &details).await.unwrap();
        let version = table.latest().await.unwrap().unwrap();
        Arc::new(Snapshot::load(table, version, None).await.unwrap())
    }

    #[tokio::test]
    async fn evicted_versions_in_use_count() {
        let table = Table::new(Arc::new(MemoryBucket::new()));
        let cache = VersionCache::with_rows_min(10);
        let mut versions = Vec::new();
        for name in ["Ada", "Bea", "Cem", "Dia"] {
            versions.push(commit(&table, name).await);
        }
        let newest = versions.pop().unwrap();
        // Each version has ten rows that the latest does not share, and the limit is ten rows.
        for version in &versions {
            cache.insert(version, &newest);
        }
        assert_eq!(cache.lock().cached.len(), 1);
        assert!(cache.is_full(&newest), "two evicted versions are in use");
        versions.remove(0);
        assert!(!cache.is_full(&newest), "cached versions do not count");
        versions.clear();
        assert!(!cache.is_full(&newest));
        assert_eq!(cache.lock().alive.len(), 1);
    }
}
