//! One execution: a store, the actors that use it, their clocks, and the oracle that checks invariants.
//!
//! The world polls the actors itself and releases one operation of one actor at a time (`world/step.rs`), so the caller determines the order
//! of operations.

mod actor;
mod checks;
mod event;
mod operator;
mod runtime;
mod step;

use std::{
    cell::Cell,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use datalake_core::plan::DeletionGuard;
use datalake_store::{
    memory::{Expiry, MemoryBucket},
    simulation::{Bug, Simulation},
};
use datalake_table::settings::TableSettings;
use jiff::{SignedDuration, Timestamp};

pub(crate) use self::actor::options;
use self::runtime::WakeFlag;
pub use self::{
    actor::{ActorResult, Edit, Observation, Role},
    event::{Event, NextStep},
    runtime::SimRuntime,
};
use crate::{fault::DelayedWrite, fingerprints::Fingerprints, gate::SharedQueue, oracle::Oracle, store_kind::StoreKind};

/// Small data files and frequent checkpoints: three users need two data files, and every second commit writes a checkpoint and cleans up.
pub const SETTINGS: TableSettings = TableSettings {
    data_file_rows_max: 2,
    commits_per_checkpoint: 2,
};

/// The index of an actor in its world.
pub type ActorId = usize;

/// The state of one actor.
struct Actor {
    name: String,
    /// The seed of its unique names.
    number: u32,
    is_owner: bool,
    run_id: Option<String>,
    /// None once the actor has ended or was killed.
    future: Option<Pin<Box<dyn Future<Output = ActorResult>>>>,
    queue: SharedQueue,
    woken: Arc<WakeFlag>,
    /// A digest of everything that the actor learned, which determines its state.
    history: u64,
    /// By how much its clock is wrong.
    clock_skew: SignedDuration,
    result: Option<ActorResult>,
    was_paused: bool,
    /// Whether no other run has been active at the same time.
    is_sole_run: bool,
    /// Whether the log is unchanged since this reader last polled for its own version.
    is_current: Rc<Cell<bool>>,
}

/// One execution.
pub struct World {
    runtime: SimRuntime,
    simulation: Simulation,
    store: MemoryBucket,
    kind: StoreKind,
    guard: DeletionGuard,
    actors: Vec<Actor>,
    fingerprints: Fingerprints,
    pub(crate) oracle: Oracle,
    /// The time of processes with correct clocks.
    now: Timestamp,
    events: Vec<Event>,
    /// Writes that have not reached the store.
    delayed: Vec<DelayedWrite>,
    /// Keys in the order of their last change.
    written: Vec<String>,
    steps: u64,
    trace: Cell<u64>,
    bug: Option<Bug>,
    /// Whether files of the table were removed on purpose.
    lost_files: bool,
    has_faults: bool,
    /// Whether the store's clock has jumped.
    clock_has_jumped: bool,
    /// Whether a create replaces an existing object.
    ignores_create: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("events", &self.events).finish_non_exhaustive()
    }
}

impl World {
    /// A world with a copy of `store` and a planted bug. All clocks start at the store's time.
    pub fn new(runtime: &SimRuntime, store: &MemoryBucket, kind: StoreKind, bug: Option<Bug>) -> Self {
        let simulation = Simulation::enter(bug);
        let store = store.snapshot();
        let fingerprints = Fingerprints::of(&store);
        let oracle = Oracle::new(&store, &fingerprints, kind);
        let now = store.now();
        Self {
            runtime: runtime.clone(),
            simulation,
            store,
            kind,
            guard: DeletionGuard::Off,
            actors: Vec::new(),
            fingerprints,
            oracle,
            now,
            events: Vec::new(),
            delayed: Vec::new(),
            written: Vec::new(),
            steps: 0,
            trace: Cell::new(0),
            bug,
            lost_files: false,
            has_faults: false,
            clock_has_jumped: false,
            ignores_create: false,
        }
    }

    /// The store of all actors.
    pub fn store(&self) -> &MemoryBucket {
        &self.store
    }

    /// The number of steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The steps so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// A digest of the steps so far: equal executions have equal digests.
    pub fn trace_hash(&self) -> u64 {
        self.trace.get()
    }

    /// The time of processes with correct clocks.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The number of actors, including those that have ended.
    pub fn actors(&self) -> usize {
        self.actors.len()
    }

    /// The actor with this name.
    pub fn actor_named(&self, name: &str) -> Option<ActorId> {
        self.actors.iter().position(|actor| actor.name == name)
    }

    /// The next step of an actor.
    pub fn next_step(&self, actor: ActorId) -> NextStep {
        let actor = &self.actors[actor];
        if actor.future.is_none() {
            return NextStep::Ended;
        }
        match actor.queue.lock().head() {
            Some(operation) => NextStep::Operation(operation.clone()),
            None => NextStep::Timer,
        }
    }

    /// Whether the actor has ended or was killed.
    pub fn has_ended(&self, actor: ActorId) -> bool {
        self.actors[actor].future.is_none()
    }

    /// The result of an actor; none while it is active, and if it was killed.
    pub fn result(&self, actor: ActorId) -> Option<&ActorResult> {
        self.actors[actor].result.as_ref()
    }

    /// Advances the clocks of the processes and of the store.
    pub fn advance(&mut self, by: SignedDuration) {
        self.now = self.now.saturating_add(by).unwrap_or(self.now);
        let store_now = self.store.now();
        self.store.set_now(store_now.saturating_add(by).unwrap_or(store_now));
    }

    /// Makes the store's clock jump by `by`, forwards or backwards.
    pub fn shift_store_clock(&mut self, by: SignedDuration) {
        self.clock_has_jumped = true;
        self.record("store", format!("clock jumps by {by:#}"), "");
        let store_now = self.store.now();
        self.store.set_now(store_now.saturating_add(by).unwrap_or(store_now));
        self.oracle.observe_time(self.store.now());
    }

    /// Sets all clocks to the time of the newest object or the latest clock.
    pub(crate) fn align_clocks(&mut self) {
        let times = self.store.peek_all("").into_iter().map(|object| object.meta.modified);
        let newest = times.chain([self.now, self.store.now()]).max().unwrap_or(self.now);
        self.now = newest;
        self.store.set_now(newest);
    }

    /// A digest of the whole state: the store, the clocks, and what each active actor has learned.
    pub fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.fingerprints.all, self.now, self.store.now()).hash(&mut hasher);
        for actor in &self.actors {
            match actor.future {
                Some(_) => (true, actor.history, actor.number, actor.is_current.get()).hash(&mut hasher),
                None => false.hash(&mut hasher),
            }
        }
        self.oracle.digest(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// Whether the actor is the data owner.
    pub(crate) fn is_owner(&self, actor: ActorId) -> bool {
        self.actors[actor].is_owner
    }

    pub(crate) fn enter_runtime(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.inner.enter()
    }

    pub(crate) fn bug(&self) -> Option<Bug> {
        self.bug
    }

    /// Whether files of the table were removed on purpose, so older versions may not load.
    pub(crate) fn lost_files(&self) -> bool {
        self.lost_files || self.oracle.was_damaged()
    }

    /// Whether outdated writes may have been executed: the store delays writes, or a run was paused before a write that does not expire.
    pub(crate) fn may_have_outdated_writes(&self) -> bool {
        let was_paused = self.actors.iter().any(|actor| actor.was_paused);
        self.oracle.tolerated.delayed_writes || was_paused && self.kind.expiry == Expiry::Never
    }

    /// Whether the store's clock has jumped.
    pub(crate) fn clock_has_jumped(&self) -> bool {
        self.clock_has_jumped
    }

    pub(crate) fn kind(&self) -> StoreKind {
        self.kind
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Timers must be dropped within their runtime.
        let _entered = self.runtime.inner.enter();
        self.actors.clear();
    }
}
