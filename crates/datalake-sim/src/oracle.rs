//! The oracle: it observes the store after every write, and checks the invariants that must hold at every step.
//!
//! What must hold only once all actors have ended is checked in `quiescence.rs`.

mod images;
mod log;
mod published;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash},
    rc::Rc,
};

use datalake_core::{keys, row_id::RowId};
use datalake_store::{
    bucket::Object,
    memory::{Expiry, MemoryBucket},
};
use jiff::Timestamp;

pub(crate) use self::images::{check_copies, check_leftovers, copy_of};
use crate::{
    fingerprints::Fingerprints,
    invariant::{Invariant, Violation, violation},
    loaded_version::{Loaded, load},
    store_kind::StoreKind,
};

/// Faults by which the store breaks its contract on purpose. Invariants that depend on the contract are then not checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToleratedFaults {
    /// Listings may be out of date: conclusions from them may be wrong until the next run.
    pub(crate) stale_listings: bool,
    /// Writes may be executed a second time, after later ones.
    pub(crate) delayed_writes: bool,
    /// Clocks, and therefore ages of objects, may be wrong.
    pub(crate) wrong_clocks: bool,
}

/// The history of an execution as far as the invariants need it.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    kind: StoreKind,
    pub(crate) tolerated: ToleratedFaults,
    /// The latest time of the store's clock. Runs computed ages by it, even if the clock has jumped back since.
    latest_time: Timestamp,
    newest: Option<Rc<Loaded>>,
    /// Every version that has been visible.
    versions: Vec<Rc<Loaded>>,
    versions_at_start: usize,
    /// The table does not load: it is damaged until a run repairs it.
    is_damaged: bool,
    /// The table was damaged during the execution: a version may have been committed without being visible, and versions may lack files.
    was_damaged: bool,
    /// The index in `versions` of the version that `output.csv` contains.
    published: Option<usize>,
    /// For each user, the runs that recorded an intent to change the image copy, and when.
    intents: BTreeMap<RowId, BTreeMap<String, Timestamp>>,
}

impl Oracle {
    pub(crate) fn new(store: &MemoryBucket, fingerprints: &Fingerprints, kind: StoreKind) -> Self {
        for source in store.peek_all(keys::SOURCES) {
            images::remember(&source.meta.etag, &source.bytes);
        }
        let found = load(store, fingerprints);
        let newest = found.clone().ok().flatten();
        let mut oracle = Self {
            kind,
            tolerated: ToleratedFaults::default(),
            latest_time: store.now(),
            versions: newest.iter().cloned().collect(),
            versions_at_start: usize::from(newest.is_some()),
            newest,
            is_damaged: found.is_err(),
            was_damaged: false,
            published: None,
            intents: BTreeMap::new(),
        };
        oracle.published = store.peek(keys::OUTPUT).and_then(|output| oracle.version_of(&output.metadata));
        oracle
    }

    /// Adds to a digest the state on which later checks depend.
    pub(crate) fn digest(&self, hasher: &mut DefaultHasher) {
        (self.is_damaged, self.was_damaged).hash(hasher);
        let identity = |version: &Loaded| (version.table_id.clone(), version.number, version.digest.clone());
        self.newest.as_deref().map(identity).hash(hasher);
        self.published
            .and_then(|index| self.versions.get(index))
            .map(|version| identity(version))
            .hash(hasher);
    }

    /// The newest visible version.
    pub(crate) fn newest(&self) -> Option<&Rc<Loaded>> {
        self.newest.as_ref()
    }

    /// Whether a version has named missing files.
    pub(crate) fn was_damaged(&self) -> bool {
        self.was_damaged
    }

    /// Whether a version became visible after the start.
    pub(crate) fn has_new_version(&self) -> bool {
        self.versions.len() > self.versions_at_start
    }

    /// Observes that the operator removed the newest version, or the table.
    pub(crate) fn observe_rollback(&mut self, store: &MemoryBucket, fingerprints: &Fingerprints) {
        self.newest = load(store, fingerprints).ok().flatten();
        self.versions.extend(self.newest.clone());
        self.published = None;
    }

    /// Whether delayed writes have no effect, so every invariant must hold after every step.
    fn is_strict(&self) -> bool {
        self.kind.expiry != Expiry::Never && !self.tolerated.wrong_clocks && !self.tolerated.delayed_writes
    }

    /// Checks the invariants that a write may violate.
    pub(crate) fn after_write(&mut self, store: &MemoryBucket, fingerprints: &Fingerprints, write: &Write) -> Result<(), Violation> {
        let key = write.key.as_str();
        if key.starts_with(keys::SOURCES) {
            if write.writer != Writer::Owner {
                return Err(violation(Invariant::Sources, format!("a run wrote {key}")));
            }
            if let Some(source) = store.peek(key) {
                images::remember(&source.meta.etag, &source.bytes);
            }
        } else if key == keys::OUTPUT {
            self.check_published(store)?;
        } else if let Some(run_id) = images::run_of_intent(key) {
            self.record_intent(store, key, run_id);
        } else if key.starts_with(keys::TABLE) {
            log::check_immutable(store, write)?;
            self.check_table(store, fingerprints)?;
            if self.is_strict() && key.starts_with(keys::LOG) {
                self.check_log(store, write)?;
            }
        } else if key.starts_with(images::copies()) && self.is_strict() {
            self.check_copy(write)?;
        }
        Ok(())
    }

    /// Observes the time of the store's clock.
    pub(crate) fn observe_time(&mut self, now: Timestamp) {
        self.latest_time = self.latest_time.max(now);
    }
}

/// A write and its effect.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: String,
    pub(crate) before: Option<Object>,
    pub(crate) after: Option<Object>,
    pub(crate) writer: Writer,
}

/// The actor of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The data owner.
    Owner,
    /// A run without concurrent runs.
    SoleRun,
    /// A run with concurrent runs.
    ConcurrentRun,
}

impl Write {
    fn is_new(&self) -> bool {
        self.before.is_none() && self.after.is_some()
    }
}
