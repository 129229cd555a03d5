//! Follows the latest version of the table and keeps it in memory. Readers never wait for the store or for a load.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use datalake_core::{clock::Clock, count::milliseconds, dataset::Dataset, error_chain::error_chain};
use datalake_table::{
    declaration,
    delta::version::{Version, VersionId},
    error::TableError,
    memory::snapshot::Snapshot,
    table::Table,
};
use futures_util::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::snapshots::cache::VersionCache;

/// A quarter of the two seconds within which every replica shows the result of a run. The rest is for loading the changes, and for one
/// retry of a request to the store, which waits up to a second before it retries.
const CHECK_PERIOD: Duration = Duration::from_millis(500);

/// A check that takes longer delays a new version noticeably.
const CHECK_SLOW: Duration = Duration::from_secs(1);

/// After a suspended process or an outage of the store, the entries that follow the version in memory may be removed. An operator may also
/// replace the table.
const FULL_CHECK_PERIOD: Duration = Duration::from_mins(1);

/// Checks that are skipped in a row while the table is damaged: half a minute. Each could read much of the table without success.
const SKIPPED_CHECKS_MAX: u32 = 60;

/// The table in memory.
#[derive(Clone, Debug, Default)]
pub enum TableState {
    /// The store has not responded yet.
    #[default]
    Loading,
    /// There is no table yet.
    Missing,
    /// The latest version that is known.
    Loaded(Arc<Snapshot>),
}

impl TableState {
    /// The number of the version in memory.
    fn number(&self) -> Option<u64> {
        match self {
            Self::Loading | Self::Missing => None,
            Self::Loaded(snapshot) => Some(snapshot.version().number()),
        }
    }

    /// The identity of the version in memory.
    fn id(&self) -> Option<VersionId> {
        match self {
            Self::Loading | Self::Missing => None,
            Self::Loaded(snapshot) => Some(snapshot.version().id()),
        }
    }
}

/// The table in memory, and how current it is.
#[derive(Clone, Debug, Default)]
pub struct TableStatus {
    /// The table in memory.
    pub state: TableState,
    /// The declaration in the lake, which is read while there is no table; none if there is none, or no valid one.
    pub declared: Option<Arc<Dataset>>,
    /// When the store last confirmed that nothing is newer.
    pub checked_at: Option<Timestamp>,
    /// Since when checks fail, because of the store or of the table in it; none while they succeed.
    pub failing_since: Option<Timestamp>,
}

impl TableStatus {
    /// The declaration of the version in memory; without a table, that of the lake, or that of the users.
    pub fn dataset(&self) -> Arc<Dataset> {
        match (&self.state, &self.declared) {
            (TableState::Loaded(snapshot), _) => Arc::clone(snapshot.dataset()),
            (TableState::Missing | TableState::Loading, Some(declared)) => Arc::clone(declared),
            (TableState::Missing | TableState::Loading, None) => Dataset::shared_users(),
        }
    }
}

/// Follows the table. Cheap to clone; clones share the table in memory.
#[derive(Clone, Debug)]
pub struct TableWatch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Table,
    clock: Clock,
    status: ArcSwap<TableStatus>,
    /// Locked during a check: concurrent checks would load the same version.
    check: Mutex<()>,
    /// The number of the version in memory, for requests that wait for another.
    version: watch::Sender<Option<u64>>,
    version_cache: VersionCache,
}

/// What a check reads from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckKind {
    /// The next log entry.
    NextEntry,
    /// The log entry of the version in memory, which an operator may have removed or replaced, then the next one.
    Full,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckResult {
    /// The latest version is known.
    Succeeded,
    /// The store does not respond. One small request is enough to find this out.
    StoreFailed,
    /// The table cannot be read. To find this out, much of it may have to be read.
    TableFailed,
}

impl TableWatch {
    /// Reads nothing before [`TableWatch::follow`] or [`TableWatch::refresh_now`].
    pub fn new(table: Table, clock: Clock) -> Self {
        let shared = Shared {
            table,
            clock,
            status: ArcSwap::default(),
            check: Mutex::new(()),
            version: watch::Sender::new(None),
            version_cache: VersionCache::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The current table in memory.
    pub fn status(&self) -> Arc<TableStatus> {
        self.shared.status.load_full()
    }

    /// The declaration of the version in memory; without a table, that of the lake, or that of the users.
    pub fn dataset(&self) -> Arc<Dataset> {
        self.status().dataset()
    }

    /// The number of the version in memory, as it changes; none without a table.
    pub fn versions(&self) -> watch::Receiver<Option<u64>> {
        self.shared.version.subscribe()
    }

    /// The table that is followed.
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// The earlier versions in memory.
    pub fn version_cache(&self) -> &VersionCache {
        &self.shared.version_cache
    }

    /// Checks at once, for a caller that expects a new version. A failure is shown by [`TableWatch::status`].
    pub async fn refresh_now(&self) {
        self.check(CheckKind::NextEntry).await;
    }

    /// Loads the latest version once, for a caller that does not follow the table. The future is boxed, so that this crate compiles its code.
    pub fn load_newest(&self) -> BoxFuture<'_, Result<(), TableError>> {
        self.load_once().boxed()
    }

    async fn load_once(&self) -> Result<(), TableError> {
        let _check = self.shared.check.lock().await;
        let before = self.status();
        let state = self.newest(&before.state, CheckKind::NextEntry).await?;
        self.publish(&before, self.confirmed(state, &before).await).await;
        Ok(())
    }

    /// Follows the table until `shutdown`: checks twice a second, and at once whenever `hints` changes.
    pub async fn follow(self, mut hints: watch::Receiver<()>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(CHECK_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_full_check = Instant::now();
        let mut hints_are_open = true;
        let mut is_hinted = false;
        let (mut failures_in_a_row, mut checks_to_skip) = (0, 0);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
                hint = hints.changed(), if hints_are_open => {
                    hints_are_open = hint.is_ok();
                    is_hinted = true;
                    checks_to_skip = 0;
                }
            }
            if checks_to_skip > 0 {
                checks_to_skip -= 1;
                continue;
            }
            // After a rollback, a run that ended may have committed after an earlier version than the one in memory.
            let kind = if std::mem::take(&mut is_hinted) || last_full_check.elapsed() >= FULL_CHECK_PERIOD {
                last_full_check = Instant::now();
                CheckKind::Full
            } else {
                CheckKind::NextEntry
            };
            let result = tokio::select! {
                () = shutdown.cancelled() => return,
                result = self.check(kind) => result,
            };
            failures_in_a_row = if result == CheckResult::TableFailed {
                failures_in_a_row + 1
            } else {
                0
            };
            checks_to_skip = 2_u32.saturating_pow(failures_in_a_row).saturating_sub(1).min(SKIPPED_CHECKS_MAX);
        }
    }

    async fn check(&self, kind: CheckKind) -> CheckResult {
        let _check = self.shared.check.lock().await;
        let (before, started_at) = (self.status(), Instant::now());
        let (result, after) = match self.newest(&before.state, kind).await {
            Ok(state) => (CheckResult::Succeeded, self.confirmed(state, &before).await),
            Err(error @ TableError::Store(_)) => (CheckResult::StoreFailed, self.failed(&error, &before)),
            Err(error) => (CheckResult::TableFailed, self.failed(&error, &before)),
        };
        if started_at.elapsed() > CHECK_SLOW && result == CheckResult::Succeeded {
            tracing::warn!(elapsed_ms = milliseconds(started_at.elapsed()), "table check was slow");
        }
        self.publish(&before, after).await;
        result
    }

    /// Makes the result of a check visible.
    async fn publish(&self, before: &TableStatus, after: TableStatus) {
        self.retain_previous(&before.state, &after.state).await;
        let number = after.state.number();
        // After a rollback, another version may have the same number.
        let is_changed = after.state.id() != before.state.id();
        self.shared.status.store(Arc::new(after));
        self.shared.version.send_if_modified(|current| {
            *current = number;
            is_changed
        });
    }

    /// Caches the superseded version before the new one becomes visible, for clients that page through it. Clears the cache after a
    /// rollback, and if another table replaced this one.
    async fn retain_previous(&self, before: &TableState, after: &TableState) {
        let TableState::Loaded(newest) = after else { return };
        let cache = &self.shared.version_cache;
        match before {
            TableState::Loaded(previous) if Arc::ptr_eq(previous, newest) => cache.evict(newest),
            TableState::Loaded(previous) if !newest.version().continues(previous.version()) => cache.clear().await,
            TableState::Loaded(previous) => cache.insert(previous, newest),
            TableState::Missing | TableState::Loading => cache.evict(newest),
        }
    }

    async fn newest(&self, state: &TableState, kind: CheckKind) -> Result<TableState, TableError> {
        let table = &self.shared.table;
        let TableState::Loaded(snapshot) = state else {
            return match table.latest().await? {
                None => Ok(TableState::Missing),
                Some(version) => self.load(version, None).await,
            };
        };
        let reloaded = match kind {
            CheckKind::NextEntry => None,
            CheckKind::Full => table.reload_if_lost(snapshot.version()).await?,
        };
        let newer = match reloaded {
            None => table.newer_than(snapshot.version()).await?,
            reloaded => reloaded,
        };
        match newer {
            None => Ok(state.clone()),
            Some(version) => self.load(version, Some(snapshot)).await,
        }
    }

    /// The declaration of a lake without a table. A run reports why it is invalid, and a failure of the store shows in the next check.
    async fn declared(&self, before: &TableStatus) -> Option<Arc<Dataset>> {
        match declaration::read(self.shared.table.bucket().as_ref()).await {
            Ok(dataset) if dataset.as_ref() == before.declared.as_deref() => before.declared.clone(),
            Ok(dataset) => dataset.map(Arc::new),
            Err(error) => {
                tracing::debug!(error = error_chain(&error), "cannot read declaration");
                before.declared.clone()
            }
        }
    }

    async fn load(&self, version: Version, previous: Option<&Snapshot>) -> Result<TableState, TableError> {
        let started_at = Instant::now();
        let snapshot = Snapshot::load(&self.shared.table, version, previous).await?;
        tracing::info!(
            table.version = snapshot.version().number(),
            rows = snapshot.len(),
            elapsed_ms = milliseconds(started_at.elapsed()),
            "table loaded",
        );
        Ok(TableState::Loaded(Arc::new(snapshot)))
    }

    async fn confirmed(&self, state: TableState, before: &TableStatus) -> TableStatus {
        if let Some(since) = before.failing_since {
            tracing::info!(failing_since = %since, "table is readable again");
        }
        let declared = match state {
            TableState::Missing => self.declared(before).await,
            TableState::Loading | TableState::Loaded(_) => None,
        };
        TableStatus {
            state,
            declared,
            checked_at: Some(self.shared.clock.now()),
            failing_since: None,
        }
    }

    /// Logs only the first of several failures in a row.
    fn failed(&self, error: &TableError, before: &TableStatus) -> TableStatus {
        if before.failing_since.is_none() {
            let error = error_chain(error);
            match before.state {
                TableState::Loading | TableState::Missing => tracing::error!(error, "cannot read table; waiting for the lake"),
                TableState::Loaded(_) => tracing::error!(error, "cannot read table; serving the last loaded version"),
            }
        }
        TableStatus {
            failing_since: before.failing_since.or_else(|| Some(self.shared.clock.now())),
            ..before.clone()
        }
    }
}
