//! Earlier versions of the table. Superseded versions are cached for a while; others are loaded from the store on request.
//!
//! Cached versions share data files with the latest version. A request for a cached version never waits for the store.

use std::{ops::RangeInclusive, sync::Arc};

use datalake_core::{count::count, error_chain::error_chain, query::as_of::VersionSelector, row::Row, row_id::RowId};
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

use crate::snapshots::{
    cache::{FactsCache, Loading, LogListing, VersionCache},
    error::VersionError,
    watch::{TableState, TableWatch},
};

/// Versions that are being loaded or waiting for it. A request for one more is rejected.
const LOADS_WAITING_MAX: usize = 16;

/// A week of one run a minute has 10,080 versions. The facts of each take about 300 bytes.
const FACTS_MAX: usize = 20_000;

/// The versions of the table. Cheap to clone; clones share the cache.
#[derive(Clone, Debug)]
pub struct Versions {
    watch: TableWatch,
}

/// The versions in the log of the table.
#[derive(Debug)]
pub struct RetainedVersions {
    /// The latest version.
    pub newest: u64,
    /// The oldest version.
    pub oldest: u64,
    /// The requested number of versions, latest first.
    pub facts: Vec<VersionFacts>,
}

impl Versions {
    /// The versions of the table that `watch` follows.
    pub fn new(watch: TableWatch) -> Self {
        Self { watch }
    }

    /// The selected version, if `newest` is the latest.
    pub async fn select(&self, selector: VersionSelector, newest: &Arc<Snapshot>, now: Timestamp) -> Result<Arc<Snapshot>, VersionError> {
        match selector {
            VersionSelector::Newest => Ok(Arc::clone(newest)),
            VersionSelector::Version(number) => self.at(number).await,
            VersionSelector::AsOf(time) => self.as_of(time, now).await,
        }
    }

    /// The selected version, if it is in memory and `newest` is the latest.
    pub fn select_in_memory(&self, selector: VersionSelector, newest: &Arc<Snapshot>, now: Timestamp) -> Option<Arc<Snapshot>> {
        let version = newest.version();
        match selector {
            VersionSelector::Newest => Some(Arc::clone(newest)),
            VersionSelector::Version(number) if number == version.number() => Some(Arc::clone(newest)),
            VersionSelector::Version(number) => self.cache().lock().touch(version.table_id(), number),
            VersionSelector::AsOf(time) => (time >= now && time >= version.committed_at()).then(|| Arc::clone(newest)),
        }
    }

    /// The version `number`: the latest, a cached one, or one that is loaded now.
    pub async fn at(&self, number: u64) -> Result<Arc<Snapshot>, VersionError> {
        let newest = self.newest()?;
        let newest_number = newest.version().number();
        if number == newest_number {
            return Ok(newest);
        }
        if number > newest_number {
            return Err(VersionError::NotYet { newest: newest_number });
        }
        self.cached_or_load(newest, number)?.await
    }

    /// The version that was the latest at `time`.
    pub async fn as_of(&self, time: Timestamp, now: Timestamp) -> Result<Arc<Snapshot>, VersionError> {
        let newest = self.newest()?;
        // At a time in the future, the latest version is the best answer. It needs no read of the log.
        if time >= now && time >= newest.version().committed_at() {
            return Ok(newest);
        }
        let number = self.number_as_of(newest.version(), time).await?;
        self.at(number).await
    }

    /// The latest `limit` versions.
    pub async fn retained(&self, limit: usize) -> Result<RetainedVersions, VersionError> {
        let newest = self.newest()?;
        let newest = newest.version();
        let called_at = Instant::now();
        let mut cache = self.cache().facts.lock().await;
        let retained = self.list(&mut cache, newest, called_at).await?;
        let before = count(limit).saturating_sub(1);
        let numbers = newest.number().saturating_sub(before).max(*retained.start())..=newest.number();
        let facts = self.load_facts(&mut cache, newest, numbers).await?;
        Ok(RetainedVersions {
            newest: newest.number(),
            oldest: cache.first.unwrap_or(newest.number()),
            facts: facts.into_iter().rev().collect(),
        })
    }

    /// The history of the user's row, up to the version `newest`.
    pub async fn history(&self, newest: &Version, user_id: &RowId) -> Result<RowHistory, VersionError> {
        let _permit = acquire(&self.cache().row_reads).await;
        let table = self.watch.table();
        let history = table.history(newest, user_id).await.map_err(|error| to_error(&error))?;
        match table.still_has(newest).await.map_err(|error| to_error(&error))? {
            true => Ok(history),
            // The entries that were read belong to a table that replaced this one.
            false => Err(VersionError::Gone),
        }
    }

    /// The user's row in a version, with its provenance.
    pub async fn row(&self, version: &Version, user_id: &RowId) -> Result<Option<Row>, VersionError> {
        let _permit = acquire(&self.cache().row_reads).await;
        let rows = self.watch.table().rows_of(version, std::slice::from_ref(user_id)).await;
        Ok(rows.map_err(|error| to_error(&error))?.remove(user_id))
    }

    fn newest(&self) -> Result<Arc<Snapshot>, VersionError> {
        match &self.watch.status().state {
            TableState::Loaded(newest) => Ok(Arc::clone(newest)),
            TableState::Missing => Err(VersionError::NoTable),
            TableState::Loading => Err(VersionError::Unknown),
        }
    }

    fn cache(&self) -> &VersionCache {
        self.watch.version_cache()
    }

    /// The cached version, or its load, which later requests share.
    fn cached_or_load(&self, newest: Arc<Snapshot>, number: u64) -> Result<Loading, VersionError> {
        let is_full = self.cache().is_full(&newest);
        let mut snapshots = self.cache().lock();
        let table_id = newest.version().table_id();
        if let Some(cached) = snapshots.touch(table_id, number) {
            return Ok(std::future::ready(Ok(cached)).boxed().shared());
        }
        let key = (table_id.to_owned(), number);
        if let Some(loading) = snapshots.loading.get(&key) {
            return Ok(loading.clone());
        }
        if snapshots.loading.len() >= LOADS_WAITING_MAX || is_full {
            return Err(VersionError::TooBusy);
        }
        let entry = LoadingEntry {
            versions: self.clone(),
            key: key.clone(),
        };
        // The load is a task, so that it continues for the other requests if the first one is cancelled. The task is spawned at the first
        // poll and not under the lock, which it takes at its end.
        let task = async move {
            let load = tokio::spawn(async move { entry.versions.load(&newest, number).await });
            load.await.unwrap_or(Err(VersionError::Damaged))
        };
        let loading = task.boxed().shared();
        snapshots.loading.insert(key, loading.clone());
        Ok(loading)
    }

    async fn load(&self, newest: &Arc<Snapshot>, number: u64) -> Result<Arc<Snapshot>, VersionError> {
        let _permit = acquire(&self.cache().loads).await;
        // Versions that were loaded while this one waited may be in use.
        if self.cache().is_full(newest) {
            return Err(VersionError::TooBusy);
        }
        let table = self.watch.table();
        let version = table.at(number).await.map_err(|error| to_error(&error))?;
        // Another table replaced this one.
        if version.table_id() != newest.version().table_id() {
            return Err(VersionError::Gone);
        }
        let nearest = self.cache().nearest(newest, number);
        let snapshot = Snapshot::load(table, version, Some(&nearest)).await;
        let snapshot = snapshot.map(Arc::new).map_err(|error| to_error(&error))?;
        self.cache().insert(&snapshot, newest);
        Ok(snapshot)
    }

    async fn number_as_of(&self, newest: &Version, time: Timestamp) -> Result<u64, VersionError> {
        let called_at = Instant::now();
        let mut cache = self.cache().facts.lock().await;
        cache.reset_if_replaced(newest);
        let first = match cache.first {
            Some(first) => first,
            None => *self.list(&mut cache, newest, called_at).await?.start(),
        };
        let facts = self.load_facts(&mut cache, newest, first..=newest.number()).await?;
        let first = facts.first().map_or(0, |facts| facts.number);
        match committed_by(facts.iter().map(|facts| (facts.number, facts.committed_at)), time) {
            Some(number) => Ok(number),
            None if first == 0 => Err(VersionError::BeforeFirst),
            None => Err(VersionError::Gone),
        }
    }

    /// The versions in the log, up to the latest in memory. All callers that waited for one listing share the next.
    async fn list(&self, cache: &mut FactsCache, newest: &Version, called_at: Instant) -> Result<RangeInclusive<u64>, VersionError> {
        cache.reset_if_replaced(newest);
        if let Some(listing) = cache.listing.filter(|listing| listing.started_at > called_at) {
            return listing.result.map(|first| first.unwrap_or(newest.number())..=newest.number());
        }
        let started_at = Instant::now();
        let result = self.first_in_log(newest).await;
        cache.listing = Some(LogListing { started_at, result });
        cache.first = result?;
        Ok(cache.first.unwrap_or(newest.number())..=newest.number())
    }

    /// The oldest version in the log. None if the table was removed or replaced: then only the latest version in memory is left of it.
    async fn first_in_log(&self, newest: &Version) -> Result<Option<u64>, VersionError> {
        let retained = self.watch.table().retained().await.map_err(|error| to_error(&error))?;
        let retained = retained.filter(|retained| retained.contains(&newest.number()));
        Ok(retained.map(|retained| *retained.start()))
    }

    /// The facts of the versions `numbers`, ascending. Only those of the latest version if another table replaced this one.
    async fn load_facts(
        &self,
        cache: &mut FactsCache,
        newest: &Version,
        numbers: RangeInclusive<u64>,
    ) -> Result<Vec<VersionFacts>, VersionError> {
        cache.by_number.insert(newest.number(), newest.facts());
        let missing: Vec<u64> = numbers.clone().filter(|number| !cache.by_number.contains_key(number)).collect();
        let table = self.watch.table();
        let mut loaded = Vec::new();
        if !missing.is_empty() {
            let facts: Result<Vec<_>, _> = table.facts(missing).try_collect().await;
            // An entry may be removed between the listing and the read. Then the next request lists the log again.
            loaded = facts.map_err(|error| match to_error(&error) {
                VersionError::Gone => {
                    cache.first = None;
                    VersionError::StoreUnavailable
                }
                error => error,
            })?;
            if !table.still_has(newest).await.map_err(|error| to_error(&error))? {
                cache.first = None;
                return Ok(vec![newest.facts()]);
            }
        }
        cache.by_number.extend(loaded.into_iter().map(|facts| (facts.number, facts)));
        let facts = cache.by_number.range(numbers).map(|(_, facts)| facts.clone()).collect();
        while cache.by_number.len() > FACTS_MAX {
            cache.by_number.pop_first();
        }
        Ok(facts)
    }
}

/// Removes the load from the loads in progress when it ends, even by a panic.
struct LoadingEntry {
    versions: Versions,
    key: (String, u64),
}

impl Drop for LoadingEntry {
    fn drop(&mut self) {
        self.versions.cache().lock().loading.remove(&self.key);
    }
}

async fn acquire(semaphore: &Semaphore) -> SemaphorePermit<'_> {
    semaphore.acquire().await.expect("the semaphore is never closed")
}

/// The error of a failed read of a version that existed.
fn to_error(error: &TableError) -> VersionError {
    match error {
        TableError::NoSuchVersion { .. } | TableError::Store(StoreError::NotFound { .. }) => VersionError::Gone,
        TableError::Store(_) => {
            tracing::warn!(error = error_chain(error), "cannot read version of table");
            VersionError::StoreUnavailable
        }
        TableError::Corrupt { .. } | TableError::Unsupported { .. } => {
            tracing::error!(error = error_chain(error), "cannot read version of table");
            VersionError::Damaged
        }
    }
}
