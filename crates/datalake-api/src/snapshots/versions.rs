//! Versions before the newest: those just left behind are kept for a while, others are read from the store when somebody asks for them.
//!
//! What is kept shares its segments with the newest version. Whoever asks for a version that is kept never waits for the store.

use std::{ops::RangeInclusive, sync::Arc};

use datalake_core::{query::as_of::VersionSelector, row::Row, user::UserId};
use datalake_store::error::StoreError;
use datalake_table::{
    delta::{
        history::RowHistory,
        version::{Version, VersionFacts, committed_by},
    },
    error::TableError,
    memory::snapshot::Snapshot,
};
use futures_util::{FutureExt, TryStreamExt};
use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use crate::snapshots::error::PastError;
use crate::snapshots::{
    cache::{KnownFacts, Listed, Loading, PastCache},
    watch::{Held, TableWatch},
};
use datalake_core::error_chain::error_chain;

/// Versions that are loaded or wait for it. Who asks for one more is asked to come back.
const LOADS_WAITING_MAX: usize = 16;

/// A week of a run a minute has 10,080 versions, of some 300 bytes each.
const FACTS_MAX: usize = 20_000;

/// Versions and what is known of them. Cheap to clone; all clones share what is kept.
#[derive(Clone, Debug)]
pub struct PastVersions {
    watch: TableWatch,
}

/// The versions that the log reaches back to.
#[derive(Debug)]
pub struct RetainedVersions {
    /// The newest.
    pub newest: u64,
    /// The oldest of them.
    pub oldest: u64,
    /// As many as were asked for, the newest first.
    pub facts: Vec<VersionFacts>,
}

impl PastVersions {
    /// Earlier versions of the table that `watch` follows.
    pub fn new(watch: TableWatch) -> Self {
        Self { watch }
    }

    /// The version of a moment, where this one is the newest.
    pub async fn of(&self, moment: VersionSelector, newest: &Arc<Snapshot>, now: Timestamp) -> Result<Arc<Snapshot>, PastError> {
        match moment {
            VersionSelector::Newest => Ok(Arc::clone(newest)),
            VersionSelector::Version(number) => self.at(number).await,
            VersionSelector::AsOf(time) => self.as_of(time, now).await,
        }
    }

    /// The version of a moment, if it is in memory. `newest` is the newest.
    pub fn in_memory(&self, moment: VersionSelector, newest: &Arc<Snapshot>, now: Timestamp) -> Option<Arc<Snapshot>> {
        let version = newest.version();
        match moment {
            VersionSelector::Newest => Some(Arc::clone(newest)),
            VersionSelector::Version(number) if number == version.number() => Some(Arc::clone(newest)),
            VersionSelector::Version(number) => self.cache().lock().take_up(version.table_id(), number),
            VersionSelector::AsOf(time) => (time >= now && time >= version.committed_at()).then(|| Arc::clone(newest)),
        }
    }

    /// The version `number`: the newest, one that is kept, or one that is read now.
    pub async fn at(&self, number: u64) -> Result<Arc<Snapshot>, PastError> {
        let newest = self.newest()?;
        let held = newest.version().number();
        if number == held {
            return Ok(newest);
        }
        if number > held {
            return Err(PastError::NotYet { newest: held });
        }
        self.kept_or_loading(newest, number)?.await
    }

    /// The version that was the newest at `time`.
    pub async fn as_of(&self, time: Timestamp, now: Timestamp) -> Result<Arc<Snapshot>, PastError> {
        let newest = self.newest()?;
        // What is to come nobody knows: the question is for what is there, which needs no look at the log.
        if time >= now && time >= newest.version().committed_at() {
            return Ok(newest);
        }
        let number = self.number_as_of(newest.version(), time).await?;
        self.at(number).await
    }

    /// What is known of the newest `limit` versions.
    pub async fn retained(&self, limit: usize) -> Result<RetainedVersions, PastError> {
        let newest = self.newest()?;
        let newest = newest.version();
        let called_at = Instant::now();
        let mut known = self.cache().facts.lock().await;
        let retained = self.list(&mut known, newest, called_at).await?;
        let many = u64::try_from(limit).unwrap_or(u64::MAX).saturating_sub(1);
        let numbers = newest.number().saturating_sub(many).max(*retained.start())..=newest.number();
        let facts = self.learn(&mut known, newest, numbers).await?;
        Ok(RetainedVersions {
            newest: newest.number(),
            oldest: known.first.unwrap_or(newest.number()),
            facts: facts.into_iter().rev().collect(),
        })
    }

    /// What the user's row was, up to `newest`.
    pub async fn history(&self, newest: &Version, user_id: &UserId) -> Result<RowHistory, PastError> {
        let _permit = acquire(&self.cache().row_reads).await;
        let table = self.watch.table();
        let history = table.history(newest, user_id).await.map_err(|error| refused(&error))?;
        match table.still_has(newest).await.map_err(|error| refused(&error))? {
            true => Ok(history),
            // What was read is of a table that was made anew in the place of the one that is served.
            false => Err(PastError::Gone),
        }
    }

    /// The user's row at a version, with where its values come from.
    pub async fn row(&self, version: &Version, user_id: &UserId) -> Result<Option<Row>, PastError> {
        let _permit = acquire(&self.cache().row_reads).await;
        let rows = self.watch.table().rows_of(version, std::slice::from_ref(user_id)).await;
        Ok(rows.map_err(|error| refused(&error))?.remove(user_id))
    }

    fn newest(&self) -> Result<Arc<Snapshot>, PastError> {
        match &self.watch.state().held {
            Held::Snapshot(newest) => Ok(Arc::clone(newest)),
            Held::NoTable => Err(PastError::NoTable),
            Held::Unknown => Err(PastError::Unknown),
        }
    }

    fn cache(&self) -> &PastCache {
        self.watch.past()
    }

    /// What waits for the version, without waiting: whoever asks next finds the same load.
    fn kept_or_loading(&self, newest: Arc<Snapshot>, number: u64) -> Result<Loading, PastError> {
        let is_full = self.cache().is_full(&newest);
        let mut snapshots = self.cache().lock();
        let table_id = newest.version().table_id();
        if let Some(kept) = snapshots.take_up(table_id, number) {
            return Ok(std::future::ready(Ok(kept)).boxed().shared());
        }
        let key = (table_id.to_owned(), number);
        if let Some(loading) = snapshots.loading.get(&key) {
            return Ok(loading.clone());
        }
        if snapshots.loading.len() >= LOADS_WAITING_MAX || is_full {
            return Err(PastError::TooBusy);
        }
        let entry = LoadingEntry {
            past: self.clone(),
            key: key.clone(),
        };
        // A task of its own goes on when the client that asked first goes away: others may wait for it. It begins at the first poll, so
        // not under the lock, which it needs for its end.
        let task = async move {
            let load = tokio::spawn(async move { entry.past.load(&newest, number).await });
            load.await.unwrap_or(Err(PastError::Damaged))
        };
        let loading = task.boxed().shared();
        snapshots.loading.insert(key, loading.clone());
        Ok(loading)
    }

    async fn load(&self, newest: &Arc<Snapshot>, number: u64) -> Result<Arc<Snapshot>, PastError> {
        let _permit = acquire(&self.cache().loads).await;
        // Those that were read meanwhile may be with their readers.
        if self.cache().is_full(newest) {
            return Err(PastError::TooBusy);
        }
        let table = self.watch.table();
        let version = table.at(number).await.map_err(|error| refused(&error))?;
        // A table that was made anew in the place of the one that is served.
        if version.table_id() != newest.version().table_id() {
            return Err(PastError::Gone);
        }
        let nearest = self.cache().nearest(newest, number);
        let snapshot = Snapshot::load(table, version, Some(&nearest)).await;
        let snapshot = snapshot.map(Arc::new).map_err(|error| refused(&error))?;
        self.cache().keep(&snapshot, newest);
        Ok(snapshot)
    }

    async fn number_as_of(&self, newest: &Version, time: Timestamp) -> Result<u64, PastError> {
        let called_at = Instant::now();
        let mut known = self.cache().facts.lock().await;
        known.begin(newest);
        let first = match known.first {
            Some(first) => first,
            None => *self.list(&mut known, newest, called_at).await?.start(),
        };
        let facts = self.learn(&mut known, newest, first..=newest.number()).await?;
        let first = facts.first().map_or(0, |facts| facts.number);
        match committed_by(facts.iter().map(|facts| (facts.number, facts.committed_at)), time) {
            Some(number) => Ok(number),
            None if first == 0 => Err(PastError::BeforeFirst),
            None => Err(PastError::Gone),
        }
    }

    /// The versions that the log reaches back to, up to the newest in memory. Callers that waited for one listing share the next.
    async fn list(&self, known: &mut KnownFacts, newest: &Version, called_at: Instant) -> Result<RangeInclusive<u64>, PastError> {
        known.begin(newest);
        if let Some(listed) = known.listed.filter(|listed| listed.began_at > called_at) {
            return listed.reply.map(|first| first.unwrap_or(newest.number())..=newest.number());
        }
        let began_at = Instant::now();
        let reply = self.read_first(newest).await;
        known.listed = Some(Listed { began_at, reply });
        known.first = reply?;
        Ok(known.first.unwrap_or(newest.number())..=newest.number())
    }

    /// The oldest version in the log.
    async fn read_first(&self, newest: &Version) -> Result<Option<u64>, PastError> {
        let retained = self.watch.table().retained().await.map_err(|error| refused(&error))?;
        // Else the table was removed, or made anew in its place: of the one that is served, nothing is left but what is held.
        let retained = retained.filter(|retained| retained.contains(&newest.number()));
        Ok(retained.map(|retained| *retained.start()))
    }

    /// What the entries of `numbers` say, ascending; of the newest version alone where the log is another table's by now.
    async fn learn(&self, known: &mut KnownFacts, newest: &Version, numbers: RangeInclusive<u64>) -> Result<Vec<VersionFacts>, PastError> {
        known.by_number.insert(newest.number(), newest.facts());
        let missing: Vec<u64> = numbers.clone().filter(|number| !known.by_number.contains_key(number)).collect();
        let table = self.watch.table();
        let mut read = Vec::new();
        if !missing.is_empty() {
            let facts: Result<Vec<_>, _> = table.facts(missing).try_collect().await;
            // An entry may be removed between the listing and the read; then the next question lists anew.
            read = facts.map_err(|error| match refused(&error) {
                PastError::Gone => {
                    known.first = None;
                    PastError::StoreUnavailable
                }
                error => error,
            })?;
            if !table.still_has(newest).await.map_err(|error| refused(&error))? {
                known.first = None;
                return Ok(vec![newest.facts()]);
            }
        }
        known.by_number.extend(read.into_iter().map(|facts| (facts.number, facts)));
        let facts = known.by_number.range(numbers).map(|(_, facts)| facts.clone()).collect();
        while known.by_number.len() > FACTS_MAX {
            known.by_number.pop_first();
        }
        Ok(facts)
    }
}

/// Removes the load from those that are waited for, however it ends.
struct LoadingEntry {
    past: PastVersions,
    key: (String, u64),
}

impl Drop for LoadingEntry {
    fn drop(&mut self) {
        self.past.cache().lock().loading.remove(&self.key);
    }
}

async fn acquire(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    semaphore.acquire().await.expect("nobody closes it")
}

/// What a failure to read a version that there once was means.
fn refused(error: &TableError) -> PastError {
    match error {
        TableError::NoSuchVersion { .. } | TableError::Store(StoreError::NotFound { .. }) => PastError::Gone,
        TableError::Store(_) => {
            tracing::warn!(error = error_chain(error), "a version of the table cannot be read");
            PastError::StoreUnavailable
        }
        TableError::Corrupt { .. } | TableError::Unsupported { .. } => {
            tracing::error!(error = error_chain(error), "a version of the table cannot be read");
            PastError::Damaged
        }
    }
}
