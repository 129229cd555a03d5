//! The newest version of the table, held in memory and replaced whole. Readers never wait: neither for the store nor for a load.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use datalake_core::error_chain::error_chain;
use datalake_table::{
    delta::version::{Version, VersionId},
    error::TableError,
    memory::snapshot::Snapshot,
    table::Table,
};
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::snapshots::cache::PastCache;
use datalake_core::clock::Clock;

/// A quarter of the two seconds within which every replica shows a run's result. The rest is for loading what changed, and for a request
/// that the store has to be asked twice: the store waits up to a second before it tries again.
const CHECK_PERIOD: Duration = Duration::from_millis(500);

/// A check that takes longer makes the news late.
const CHECK_SLOW: Duration = Duration::from_secs(1);

/// A process that slept, or lost the store, may find the entries after its version removed; an operator may begin the table anew.
const RELOAD_PERIOD: Duration = Duration::from_mins(1);

/// Most checks that are left out in a row while the table is damaged, half a minute: each one could read all that is new of it, in vain.
const CHECKS_LEFT_OUT_MAX: u32 = 60;

/// What is known of the table.
#[derive(Clone, Debug, Default)]
pub enum Held {
    /// The store has not answered yet.
    #[default]
    Unknown,
    /// There is no table yet.
    NoTable,
    /// The newest version that the store has told of.
    Snapshot(Arc<Snapshot>),
}

impl Held {
    /// The identity of the version held, none without one.
    fn id(&self) -> Option<VersionId> {
        match self {
            Self::Unknown | Self::NoTable => None,
            Self::Snapshot(snapshot) => Some(snapshot.version().id()),
        }
    }
}

/// What is held, and how far it can be trusted.
#[derive(Clone, Debug, Default)]
pub struct TableState {
    /// What is known of the table.
    pub held: Held,
    /// When the store last said that nothing is newer.
    pub checked_at: Option<Timestamp>,
    /// Since when the store, or the table in it, cannot be read; none while it can.
    pub failing_since: Option<Timestamp>,
}

/// Follows the table. Cheap to clone; all clones share what is held.
#[derive(Clone, Debug)]
pub struct TableWatch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Table,
    clock: Clock,
    state: ArcSwap<TableState>,
    /// Held by whoever asks the store: two loads at once would only race.
    asking: Mutex<()>,
    /// The version held, for those who wait for another.
    version: watch::Sender<Option<u64>>,
    past: PastCache,
}

/// How much is asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Whether the next entry exists.
    NextEntry,
    /// First whether the entry of the version held is still there.
    HeldEntry,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// An answer.
    Answered,
    /// The store does not answer: that is found out by one small request.
    StoreFailed,
    /// The table cannot be understood: that may be found out by reading much of it.
    TableFailed,
}

impl TableWatch {
    /// Nothing is read before [`TableWatch::follow`] or [`TableWatch::refresh_now`].
    pub fn new(table: Table, clock: Clock) -> Self {
        let shared = Shared {
            table,
            clock,
            state: ArcSwap::default(),
            asking: Mutex::new(()),
            version: watch::Sender::new(None),
            past: PastCache::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What is held now.
    pub fn state(&self) -> Arc<TableState> {
        self.shared.state.load_full()
    }

    /// The number of the version held, as it changes; none where there is none.
    pub fn versions(&self) -> watch::Receiver<Option<u64>> {
        self.shared.version.subscribe()
    }

    /// The table that is followed.
    pub fn table(&self) -> &Table {
        &self.shared.table
    }

    /// What is kept of the versions before the one held.
    pub fn past(&self) -> &PastCache {
        &self.shared.past
    }

    /// Asks the store at once, for one who knows that there may be news. A failure shows in [`TableWatch::state`].
    pub async fn refresh_now(&self) {
        self.ask(Depth::NextEntry).await;
    }

    /// Follows the table until `shutdown`: asks twice a second, and at once whenever `hints` changes.
    pub async fn follow(self, mut hints: watch::Receiver<()>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(CHECK_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked_deep_at = Instant::now();
        let mut hints_are_open = true;
        let mut is_hinted = false;
        let (mut failures_in_a_row, mut checks_left_out) = (0, 0);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
                hint = hints.changed(), if hints_are_open => {
                    hints_are_open = hint.is_ok();
                    is_hinted = true;
                    checks_left_out = 0;
                }
            }
            if checks_left_out > 0 {
                checks_left_out -= 1;
                continue;
            }
            // A run that ended may have continued an earlier version, after a rollback.
            let depth = if std::mem::take(&mut is_hinted) || looked_deep_at.elapsed() >= RELOAD_PERIOD {
                looked_deep_at = Instant::now();
                Depth::HeldEntry
            } else {
                Depth::NextEntry
            };
            let asked = tokio::select! {
                () = shutdown.cancelled() => return,
                asked = self.ask(depth) => asked,
            };
            failures_in_a_row = if asked == Asked::TableFailed { failures_in_a_row + 1 } else { 0 };
            checks_left_out = 2_u32.saturating_pow(failures_in_a_row).saturating_sub(1).min(CHECKS_LEFT_OUT_MAX);
        }
    }

    async fn ask(&self, depth: Depth) -> Asked {
        let _asking = self.shared.asking.lock().await;
        let (before, begun) = (self.state(), Instant::now());
        let (asked, after) = match self.newest(&before.held, depth).await {
            Ok(held) => (Asked::Answered, self.confirmed(held, &before)),
            Err(error @ TableError::Store(_)) => (Asked::StoreFailed, self.failed(&error, &before)),
            Err(error) => (Asked::TableFailed, self.failed(&error, &before)),
        };
        let version = match &after.held {
            Held::Unknown | Held::NoTable => None,
            Held::Snapshot(snapshot) => Some(snapshot.version().number()),
        };
        if begun.elapsed() > CHECK_SLOW && asked == Asked::Answered {
            tracing::warn!(elapsed_ms = millis(begun), "the store was slow to tell what is newest");
        }
        self.retain_previous(&before.held, &after.held).await;
        // After a rollback another version may have the same number.
        let is_other = after.held.id() != before.held.id();
        self.shared.state.store(Arc::new(after));
        self.shared.version.send_if_modified(|known| {
            *known = version;
            is_other
        });
        asked
    }

    /// Keeps the superseded version before the new one is shown, for clients that page through it. After a rollback, and where another table
    /// took the place of the one that was served, nothing that was known of earlier versions holds.
    async fn retain_previous(&self, before: &Held, after: &Held) {
        let Held::Snapshot(newest) = after else { return };
        match before {
            Held::Snapshot(former) if Arc::ptr_eq(former, newest) => self.shared.past.tidy(newest),
            Held::Snapshot(former) if !newest.version().continues(former.version()) => self.shared.past.clear().await,
            Held::Snapshot(former) => self.shared.past.keep(former, newest),
            Held::NoTable | Held::Unknown => self.shared.past.tidy(newest),
        }
    }

    async fn newest(&self, held: &Held, depth: Depth) -> Result<Held, TableError> {
        let table = &self.shared.table;
        let Held::Snapshot(snapshot) = held else {
            return match table.latest().await? {
                None => Ok(Held::NoTable),
                Some(version) => self.load(version, None).await,
            };
        };
        let reloaded = match depth {
            Depth::NextEntry => None,
            Depth::HeldEntry => table.reload_if_lost(snapshot.version()).await?,
        };
        let newer = match reloaded {
            None => table.newer_than(snapshot.version()).await?,
            reloaded => reloaded,
        };
        match newer {
            None => Ok(held.clone()),
            Some(version) => self.load(version, Some(snapshot)).await,
        }
    }

    async fn load(&self, version: Version, previous: Option<&Snapshot>) -> Result<Held, TableError> {
        let begun = Instant::now();
        let snapshot = Snapshot::load(&self.shared.table, version, previous).await?;
        tracing::info!(
            table.version = snapshot.version().number(),
            rows = snapshot.len(),
            elapsed_ms = millis(begun),
            "loaded a version of the table",
        );
        Ok(Held::Snapshot(Arc::new(snapshot)))
    }

    fn confirmed(&self, held: Held, before: &TableState) -> TableState {
        if let Some(since) = before.failing_since {
            tracing::info!(%since, "the table can be read again");
        }
        TableState {
            held,
            checked_at: Some(self.shared.clock.now()),
            failing_since: None,
        }
    }

    /// Logs the first of a row of failures: one each time would hide all else.
    fn failed(&self, error: &TableError, before: &TableState) -> TableState {
        if before.failing_since.is_none() {
            tracing::error!(error = error_chain(error), "the table cannot be read; what is held is served on");
        }
        TableState {
            failing_since: before.failing_since.or_else(|| Some(self.shared.clock.now())),
            ..before.clone()
        }
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
