//! What is held of versions before the newest, and bounds on it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use datalake_table::{
    delta::version::{Version, VersionFacts},
    memory::snapshot::Snapshot,
};
use futures_util::future::{BoxFuture, Shared};
use tokio::{sync::Semaphore, time::Instant};

use crate::snapshots::error::PastError;

/// One who walks over pages while a run a minute makes versions comes back within so many of them.
const SNAPSHOTS_MAX: usize = 16;

/// One who walks over pages asks for the next within a few minutes. Later, the version is read from the store again.
const IDLE_MAX: Duration = Duration::from_mins(5);

/// Versions that are kept hold at most as many rows beside the newest version's as that one has, and of a small table so many: a segment,
/// some 10 MB.
const ROWS_MIN: usize = 128_000;

/// Each load may hold as much as the newest version does.
const LOADS_MAX: usize = 2;

/// Rows of one user that are read from segments at once: each read holds a decoded segment, some 60 MB.
const ROW_READS_MAX: usize = 2;

/// What is kept of versions before the newest. A [`TableWatch`] owns it, so that a version goes there the moment it is left behind.
#[derive(Debug)]
pub struct PastCache {
    snapshots: Mutex<Snapshots>,
    pub loads: Semaphore,
    pub row_reads: Semaphore,
    /// Held by whoever reads entries: two at once would read the same.
    pub facts: tokio::sync::Mutex<KnownFacts>,
    /// What `rows_max` takes a small table for.
    rows_min: usize,
}

#[derive(Debug, Default)]
pub struct Snapshots {
    /// The one used last at the end.
    kept: Vec<Kept>,
    /// All that there are, those that nobody but a reader of a long answer holds as well.
    alive: Vec<Weak<Snapshot>>,
    /// What is being read, by the table's id and the number.
    pub loading: BTreeMap<(String, u64), Loading>,
}

#[derive(Debug)]
struct Kept {
    snapshot: Arc<Snapshot>,
    used_at: Instant,
}

/// A load that whoever asks for the version waits for together.
pub(crate) type Loading = Shared<BoxFuture<'static, Result<Arc<Snapshot>, PastError>>>;

/// What entries say never changes, but for a table that is made anew.
#[derive(Debug, Default)]
pub struct KnownFacts {
    table_id: String,
    /// The oldest version that the log reached back to when it was listed last.
    pub first: Option<u64>,
    /// The last listing.
    pub listed: Option<Listed>,
    pub by_number: BTreeMap<u64, VersionFacts>,
}

/// A listing of the log.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    pub began_at: Instant,
    /// The oldest version.
    pub reply: Result<Option<u64>, PastError>,
}

impl PastCache {
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

    /// Takes a version that was read or has just been left behind.
    pub fn keep(&self, snapshot: &Arc<Snapshot>, newest: &Snapshot) {
        let (table_id, number) = (snapshot.version().table_id(), snapshot.version().number());
        {
            let mut snapshots = self.lock();
            if snapshots.take_up(table_id, number).is_none() {
                snapshots.alive.push(Arc::downgrade(snapshot));
                snapshots.kept.push(Kept {
                    snapshot: Arc::clone(snapshot),
                    used_at: Instant::now(),
                });
            }
        }
        self.tidy(newest);
    }

    /// Lets go of versions that nobody asked for lately, of another table's, and of more than there is room for.
    pub fn tidy(&self, newest: &Snapshot) {
        let mut dropped = Vec::new();
        let mut snapshots = self.lock();
        snapshots.alive.retain(|snapshot| snapshot.strong_count() > 0);
        let stays = |kept: &Kept| kept.used_at.elapsed() < IDLE_MAX && kept.snapshot.version().table_id() == newest.version().table_id();
        dropped.extend(snapshots.kept.extract_if(.., |kept| !stays(kept)));
        let is_over = |kept: &[Kept]| {
            let rows = || Snapshot::rows_not_in(newest, kept.iter().map(|kept| &*kept.snapshot));
            kept.len() > SNAPSHOTS_MAX || kept.len() > 1 && rows() > self.rows_max(newest)
        };
        while is_over(&snapshots.kept) {
            dropped.push(snapshots.kept.remove(0));
        }
        drop(snapshots);
        // Not under the lock: freeing a large version takes a while.
        drop(dropped);
    }

    /// Forgets every version, and what entries said.
    pub async fn clear(&self) {
        let dropped = std::mem::take(&mut self.lock().kept);
        // Not under the lock: freeing a large version takes a while.
        drop(dropped);
        *self.facts.lock().await = KnownFacts::default();
    }

    /// Whether readers of long answers hold so much of versions that were left behind, and are not kept any more, that no other should be read.
    pub fn is_full(&self, newest: &Snapshot) -> bool {
        let held = self.lock().held_by_readers();
        // Not under the lock: one of them may end here.
        Snapshot::rows_not_in(newest, held.iter().map(|snapshot| &**snapshot)) > self.rows_max(newest)
    }

    /// Rows of versions that are left behind, which may be in memory beside the newest.
    fn rows_max(&self, newest: &Snapshot) -> usize {
        newest.len().max(self.rows_min)
    }

    /// The version held or kept that probably shares most with that of a number.
    pub fn nearest(&self, newest: &Arc<Snapshot>, number: u64) -> Arc<Snapshot> {
        let snapshots = self.lock();
        let of_table = |kept: &&Kept| kept.snapshot.version().table_id() == newest.version().table_id();
        let kept = snapshots.kept.iter().filter(of_table).map(|kept| &kept.snapshot);
        let distance = |snapshot: &&Arc<Snapshot>| snapshot.version().number().abs_diff(number);
        Arc::clone(
            kept.min_by_key(distance)
                .filter(|kept| distance(kept) < distance(&newest))
                .unwrap_or(newest),
        )
    }

    pub fn lock(&self) -> MutexGuard<'_, Snapshots> {
        // A panic under the lock leaves the lists whole.
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Snapshots {
    /// Versions that are in memory and not kept.
    fn held_by_readers(&mut self) -> Vec<Arc<Snapshot>> {
        self.alive.retain(|snapshot| snapshot.strong_count() > 0);
        let is_kept = |snapshot: &Arc<Snapshot>| self.kept.iter().any(|kept| Arc::ptr_eq(&kept.snapshot, snapshot));
        self.alive
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|snapshot| !is_kept(snapshot))
            .collect()
    }

    /// The version if it is kept; it counts as just used.
    pub fn take_up(&mut self, table_id: &str, number: u64) -> Option<Arc<Snapshot>> {
        let is_wanted = |kept: &Kept| (kept.snapshot.version().table_id(), kept.snapshot.version().number()) == (table_id, number);
        let mut found = self.kept.remove(self.kept.iter().position(is_wanted)?);
        found.used_at = Instant::now();
        let snapshot = Arc::clone(&found.snapshot);
        self.kept.push(found);
        Some(snapshot)
    }
}

impl KnownFacts {
    /// Forgets all where the newest version is another table's.
    pub fn begin(&mut self, newest: &Version) {
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
        report::{Counts, RunId, RunMode},
        row::{Provenance, Row},
        user::{BirthTimestamp, UserId, UserRecord},
    };
    use datalake_store::memory::MemoryBucket;
    use datalake_table::{
        delta::{commit::CommitDetails, rows::Edit},
        table::Table,
    };
    use jiff::Timestamp;

    use super::*;

    /// Another version of ten rows, each with this name.
    async fn publish(table: &Table, first_name: &str) -> Arc<Snapshot> {
        let run_id = RunId::parse("run-1").unwrap();
        let edit = |number: u8| {
            Edit::Put(Row {
                user_id: UserId::parse(&number.to_string()).unwrap(),
                record: UserRecord {
                    first_name: first_name.into(),
                    last_name: "Last".into(),
                    birth: BirthTimestamp::from_ms(0).unwrap(),
                },
                csv: Provenance {
                    etag: first_name.into(),
                    size: 1,
                    modified: Timestamp::UNIX_EPOCH,
                },
                image: None,
                run_id: run_id.clone(),
            })
        };
        let base = table.latest().await.unwrap();
        let staged = table.stage(base.as_ref(), (0..10).map(edit).collect()).await.unwrap();
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
    async fn what_readers_hold_counts_after_it_was_let_go_of() {
        let table = Table::new(Arc::new(MemoryBucket::new()));
        let cache = PastCache::with_rows_min(10);
        let mut versions = Vec::new();
        for name in ["Ada", "Bea", "Cem", "Dia"] {
            versions.push(publish(&table, name).await);
        }
        let newest = versions.pop().unwrap();
        // Each is ten rows beside the newest, and the cache has room for one.
        for version in &versions {
            cache.keep(version, &newest);
        }
        assert_eq!(cache.lock().kept.len(), 1);
        assert!(cache.is_full(&newest), "two readers go on");
        versions.remove(0);
        assert!(!cache.is_full(&newest), "what is kept does not count");
        versions.clear();
        assert!(!cache.is_full(&newest));
        assert_eq!(cache.lock().alive.len(), 1);
    }
}
