//! One execution: a store, the actors over it, their clocks, and the invariants.
//!
//! The world polls the actors itself and releases one operation of one actor at a time, so that the order of operations is the caller's.

mod actor;
mod checks;
mod operator;

use std::{
    cell::Cell,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use datalake_core::{
    keys,
    plan::DeletionGuard,
    report::{RunOutcome, RunReport},
};
use datalake_store::{
    bucket::{Bucket, Object},
    memory::{Expiry, MemoryBucket},
    simulation::{Bug, Simulation},
};
use datalake_table::settings::TableSettings;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;

pub(crate) use self::actor::options;
pub use self::actor::{Edit, Ended, Role, Seen};
use crate::{
    clock,
    fate::{Fate, Late, Stale},
    gate::{Gate, Operation, SharedQueue, lock, release},
    observed::{Fingerprints, words},
    oracle::{Invariant, Oracle, Violation, Write, Writer, violation},
    scenario::StoreKind,
};

/// Tiny files and frequent checkpoints: three users take two data files, and every second commit writes a checkpoint and cleans up.
pub const SETTINGS: TableSettings = TableSettings {
    data_file_rows_max: 2,
    commits_per_checkpoint: 2,
};

/// The number of an actor in its world.
pub type ActorId = usize;

/// What comes next of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An operation waits.
    Operation(Operation),
    /// A timer.
    Timer,
    /// It has ended or was killed.
    Ended,
}

/// A step that was taken.
#[derive(Clone, Debug)]
pub struct Event {
    /// Whose.
    pub actor: String,
    /// The operation, a timer, or what happened to the actor.
    pub what: String,
    /// What came of it.
    pub result: &'static str,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.actor, self.what)?;
        if self.result.is_empty() {
            Ok(())
        } else {
            write!(f, "  # {}", self.result)
        }
    }
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Actor {
    name: String,
    /// Unique names are drawn by this number.
    number: u32,
    is_owner: bool,
    run_id: Option<String>,
    future: Option<Pin<Box<dyn Future<Output = Ended>>>>,
    queue: SharedQueue,
    woken: Arc<Flag>,
    /// A digest of everything that the actor learned: with it the actor's state is known.
    history: u64,
    skew: SignedDuration,
    ended: Option<Ended>,
    was_paused: bool,
    /// Whether no other run has lived at the same time.
    is_alone: bool,
    /// Of a reader: whether the log is as it was when the reader last looked whether it has lost the version that it holds.
    is_current: Rc<Cell<bool>>,
}

/// What worlds of one thread share.
#[derive(Clone, Debug)]
pub struct Machine {
    runtime: Rc<Runtime>,
}

impl Machine {
    /// A runtime whose time only the worlds move.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the system");
        Self { runtime: Rc::new(runtime) }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

/// The longest that an actor waits for a timer before it counts as stuck.
const TIMER_MAX: Duration = Duration::from_hours(24);
const TIMER_STEP: Duration = Duration::from_secs(1);

/// One execution.
pub struct World {
    machine: Machine,
    simulation: Simulation,
    store: MemoryBucket,
    kind: StoreKind,
    guard: DeletionGuard,
    actors: Vec<Actor>,
    fingerprints: Fingerprints,
    pub(crate) oracle: Oracle,
    /// The time of processes whose clocks are right.
    now: Timestamp,
    events: Vec<Event>,
    late: Vec<Late>,
    /// Keys in the order of their last change in this world.
    written: Vec<String>,
    steps: u64,
    trace: Cell<u64>,
    bug: Option<Bug>,
    lost_files: bool,
    has_faults: bool,
    /// Whether the store's clock has leapt.
    has_leapt: bool,
    /// Whether the store creates what exists.
    ignores_create: bool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("events", &self.events).finish_non_exhaustive()
    }
}

impl World {
    /// A world that begins with a copy of `store`, with a bug planted. Clocks begin at the store's time.
    pub fn new(machine: &Machine, store: &MemoryBucket, kind: StoreKind, bug: Option<Bug>) -> Self {
        let simulation = Simulation::enter(bug);
        let store = store.snapshot();
        let fingerprints = Fingerprints::of(&store);
        let oracle = Oracle::new(&store, &fingerprints, kind);
        let now = store.now();
        Self {
            machine: machine.clone(),
            simulation,
            store,
            kind,
            guard: DeletionGuard::Off,
            actors: Vec::new(),
            fingerprints,
            oracle,
            now,
            events: Vec::new(),
            late: Vec::new(),
            written: Vec::new(),
            steps: 0,
            trace: Cell::new(0),
            bug,
            lost_files: false,
            has_faults: false,
            has_leapt: false,
            ignores_create: false,
        }
    }

    /// The store behind the gates.
    pub fn store(&self) -> &MemoryBucket {
        &self.store
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What happened so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// A digest of every step so far.
    pub fn trace_hash(&self) -> u64 {
        self.trace.get()
    }

    /// The time of processes whose clocks are right.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Adds an actor; it comes to its first operation. `number` tells its unique names apart from those of other actors.
    pub fn spawn(&mut self, name: &str, number: u32, role: &Role) -> Result<ActorId, Violation> {
        let queue = SharedQueue::default();
        let gate = Gate::new(Arc::new(self.store.clone()), Arc::clone(&queue)).ignoring_create(self.ignores_create);
        let gate: Arc<dyn Bucket> = Arc::new(gate);
        let is_current = Rc::new(Cell::new(false));
        let future: Pin<Box<dyn Future<Output = Ended>>> = match role {
            Role::Run { run_id, mode } => Box::pin(actor::process(gate, options(run_id, *mode, self.guard))),
            Role::Reader { polls } => Box::pin(actor::read(gate, *polls, Rc::clone(&is_current))),
            Role::Owner { edits } => Box::pin(actor::own(gate, edits.clone())),
        };
        self.actors.push(Actor {
            name: name.to_owned(),
            number,
            is_owner: matches!(role, Role::Owner { .. }),
            run_id: match role {
                Role::Run { run_id, .. } => Some(run_id.clone()),
                Role::Reader { .. } | Role::Owner { .. } => None,
            },
            future: Some(future),
            queue,
            woken: Arc::default(),
            history: 0,
            skew: SignedDuration::ZERO,
            ended: None,
            was_paused: false,
            is_alone: true,
            is_current,
        });
        if matches!(role, Role::Run { .. }) {
            self.note_company();
        }
        let actor = self.actors.len() - 1;
        self.poll(actor)?;
        Ok(actor)
    }

    /// Notes that runs that live now are not alone.
    fn note_company(&mut self) {
        let is_living_run = |actor: &&mut Actor| actor.run_id.is_some() && actor.future.is_some();
        if self.actors.iter_mut().filter(is_living_run).count() > 1 {
            self.actors.iter_mut().filter(is_living_run).for_each(|run| run.is_alone = false);
        }
    }

    /// Sets the actor's clock off by so much.
    pub fn skew(&mut self, actor: ActorId, skew: SignedDuration) {
        self.actors[actor].skew = skew;
    }

    /// Actors that were added, whether or not they live.
    pub fn actors(&self) -> usize {
        self.actors.len()
    }

    /// The actor of a name.
    pub fn named(&self, name: &str) -> Option<ActorId> {
        self.actors.iter().position(|actor| actor.name == name)
    }

    /// What comes next of an actor.
    pub fn next(&self, actor: ActorId) -> Next {
        let actor = &self.actors[actor];
        if actor.future.is_none() {
            return Next::Ended;
        }
        match lock(&actor.queue).head() {
            Some(operation) => Next::Operation(operation.clone()),
            None => Next::Timer,
        }
    }

    /// Whether the actor has ended or was killed.
    pub fn has_ended(&self, actor: ActorId) -> bool {
        self.actors[actor].future.is_none()
    }

    /// How the actor ended; none while it lives, and where it was killed.
    pub fn ended(&self, actor: ActorId) -> Option<&Ended> {
        self.actors[actor].ended.as_ref()
    }

    /// Lets the actor take its next step.
    pub fn step(&mut self, actor: ActorId) -> Result<(), Violation> {
        self.step_as(actor, Fate::Pass)
    }

    /// Lets the actor take its next step, and its operation meet this fate.
    pub fn step_as(&mut self, actor: ActorId, fate: Fate) -> Result<(), Violation> {
        self.steps += 1;
        self.has_faults |= fate != Fate::Pass;
        if let Fate::Stale(Stale { lacks }) = fate {
            lock(&self.actors[actor].queue).hidden = self.written.iter().rev().take(lacks).cloned().collect();
        }
        let queue = Arc::clone(&self.actors[actor].queue);
        let written = lock(&queue)
            .head()
            .filter(|operation| operation.is_write())
            .map(|operation| operation.key.clone());
        let before = written.as_ref().and_then(|key| self.store.peek(key));
        let Some(performed) = release(&queue, fate) else {
            return self.fire_timer(actor);
        };
        let one = &mut self.actors[actor];
        let mut hasher = DefaultHasher::new();
        let operation = &performed.operation;
        (one.history, operation.name(), &operation.key, performed.digest).hash(&mut hasher);
        one.history = hasher.finish();
        let name = one.name.clone();
        let writer = match (one.is_owner, one.is_alone) {
            (true, _) => Writer::Owner,
            (false, true) => Writer::LoneRun,
            (false, false) => Writer::Run,
        };
        self.late.extend(performed.late);
        let is_write = operation.is_write();
        let checked = match is_write {
            true => self.after_write(&performed.operation.key, before, writer),
            false => Ok(()),
        };
        self.record(&name, performed.operation.to_string(), performed.result);
        checked?;
        self.poll(actor)?;
        self.after_poll(actor)
    }

    fn after_write(&mut self, key: &str, before: Option<Object>, writer: Writer) -> Result<(), Violation> {
        if self.fingerprints.refresh(&self.store, key) {
            self.written.retain(|written| written != key);
            self.written.push(key.to_owned());
            if key.starts_with(keys::LOG) {
                self.note_log_change();
            }
            let write = Write {
                key: key.to_owned(),
                before,
                after: self.store.peek(key),
                writer,
            };
            self.oracle.after_write(&self.store, &self.fingerprints, &write)?;
        }
        Ok(())
    }

    fn note_log_change(&self) {
        for actor in &self.actors {
            actor.is_current.set(false);
        }
    }

    fn record(&mut self, actor: &str, what: String, result: &'static str) {
        let mut hasher = DefaultHasher::new();
        (self.trace.get(), actor, &what, result, self.fingerprints.all).hash(&mut hasher);
        self.trace.set(hasher.finish());
        self.events.push(Event {
            actor: actor.to_owned(),
            what,
            result,
        });
    }

    fn fire_timer(&mut self, actor: ActorId) -> Result<(), Violation> {
        let name = self.actors[actor].name.clone();
        self.record(&name, "timer".to_owned(), "");
        let woken = Arc::clone(&self.actors[actor].woken);
        let mut waited = Duration::ZERO;
        while !woken.0.load(Ordering::Relaxed) {
            if waited > TIMER_MAX {
                return Err(violation(
                    Invariant::NoPanic,
                    format!("{name} waits for neither the store nor a timer"),
                ));
            }
            self.machine.runtime.block_on(tokio::time::advance(TIMER_STEP));
            waited += TIMER_STEP;
        }
        self.poll(actor)?;
        self.after_poll(actor)
    }

    fn poll(&mut self, index: ActorId) -> Result<(), Violation> {
        let actor = &mut self.actors[index];
        let Some(future) = &mut actor.future else { return Ok(()) };
        clock::set(self.now.saturating_add(actor.skew).unwrap_or(self.now));
        self.simulation.set_actor(actor.number);
        let waker = Waker::from(Arc::clone(&actor.woken));
        let _entered = self.machine.runtime.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            loop {
                actor.woken.0.store(false, Ordering::Relaxed);
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                // A future that only yields goes on at once.
                if polled.is_ready() || !actor.woken.0.load(Ordering::Relaxed) {
                    break polled;
                }
            }
        }));
        match polled {
            Ok(Poll::Pending) => Ok(()),
            Ok(Poll::Ready(ended)) => {
                actor.future = None;
                actor.ended = Some(ended);
                Ok(())
            }
            Err(panic) => {
                actor.future = None;
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                Err(violation(
                    Invariant::NoPanic,
                    format!("{} panics: {}", actor.name, text.unwrap_or_default()),
                ))
            }
        }
    }

    /// The actor's process is killed: what waits is never carried out.
    pub fn kill(&mut self, actor: ActorId) {
        let name = self.actors[actor].name.clone();
        self.record(&name, "killed".to_owned(), "");
        let _entered = self.machine.runtime.enter();
        self.actors[actor].future = None;
    }

    /// Notes that the actor sleeps while others go on.
    pub fn pause(&mut self, actor: ActorId, how: &str) {
        let name = self.actors[actor].name.clone();
        self.record(&name, format!("paused {how}"), "");
        self.actors[actor].was_paused = true;
    }

    /// Lets time pass, for processes and the store alike.
    pub fn advance(&mut self, by: SignedDuration) {
        self.now = self.now.saturating_add(by).unwrap_or(self.now);
        let store_now = self.store.now();
        self.store.set_now(store_now.saturating_add(by).unwrap_or(store_now));
    }

    /// Sets the store's clock off by so much, in either direction.
    pub fn shift_store_clock(&mut self, by: SignedDuration) {
        self.has_leapt = true;
        self.record("store", format!("clock leaps by {by:#}"), "");
        let store_now = self.store.now();
        self.store.set_now(store_now.saturating_add(by).unwrap_or(store_now));
        self.oracle.observe_time(self.store.now());
    }

    /// Lets the actor go on until it ends.
    pub fn finish(&mut self, actor: ActorId) -> Result<(), Violation> {
        while !self.has_ended(actor) {
            self.step(actor)?;
        }
        Ok(())
    }

    /// A run that nothing disturbs: it must succeed.
    pub fn run_alone(&mut self, name: &str, number: u32) -> Result<RunReport, Violation> {
        let actor = self.spawn(name, number, &Role::run(&format!("run-{name}-{number}")))?;
        self.finish(actor)?;
        match self.ended(actor) {
            Some(Ended::Run(report)) if report.outcome == RunOutcome::Succeeded => Ok((**report).clone()),
            Some(Ended::Run(report)) => Err(violation(
                Invariant::Convergence,
                format!(
                    "{name}, which nothing disturbs, ends as {}: {}",
                    report.outcome.as_str(),
                    report.error.as_deref().unwrap_or_default()
                ),
            )),
            _ => Err(violation(Invariant::Convergence, format!("{name} has no report"))),
        }
    }

    /// The data owner edits a source at once.
    pub fn edit(&mut self, edit: &Edit) -> Result<(), Violation> {
        let kind = if edit.bytes.is_some() { "put" } else { "delete" };
        self.record("owner", format!("{kind} {}", edit.key), "ok");
        let applied = edit.apply(&self.store).now_or_never();
        applied
            .expect("the store in memory answers at once")
            .map_err(|error| violation(Invariant::Sources, words(&error)))?;
        self.after_write(&edit.key, None, Writer::Owner)
    }

    /// Writes that are on their way.
    pub fn late_writes(&self) -> usize {
        self.late.len()
    }

    /// A write that is on its way arrives.
    pub fn arrive(&mut self, index: usize) -> Result<(), Violation> {
        let late = self.late.swap_remove(index);
        late.arrive();
        self.record("store", "late write".to_owned(), "");
        self.note_log_change();
        // Whichever object it was: everything is compared.
        let before = std::mem::replace(&mut self.fingerprints, Fingerprints::of(&self.store));
        for key in before.differing(&self.fingerprints) {
            let after = self.store.peek(&key);
            let write = Write {
                key,
                before: None,
                after,
                writer: Writer::Run,
            };
            self.oracle.after_write(&self.store, &self.fingerprints, &write)?;
        }
        Ok(())
    }

    /// A digest of the whole state: of the store, the clocks, and what each living actor learned.
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

    /// Sets the store's clock and those of processes to a time that no object is later than.
    pub(crate) fn catch_up(&mut self) {
        let times = self.store.peek_all("").into_iter().map(|object| object.meta.modified);
        let newest = times.chain([self.now, self.store.now()]).max().unwrap_or(self.now);
        self.now = newest;
        self.store.set_now(newest);
    }

    pub(crate) fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.machine.runtime.enter()
    }

    pub(crate) fn bug(&self) -> Option<Bug> {
        self.bug
    }

    /// Whether files of the table were lost on purpose: older versions need them.
    pub(crate) fn lost_files(&self) -> bool {
        self.lost_files || self.oracle.was_damaged()
    }

    /// Whether writes may have arrived that were decided on long before: the store delivers them late, or a run slept between its decision and
    /// a write that does not expire.
    pub(crate) fn has_late_writes(&self) -> bool {
        let was_paused = self.actors.iter().any(|actor| actor.was_paused);
        self.oracle.leniency.late_writes || was_paused && self.kind.expiry == Expiry::Never
    }

    /// Whether the store's clock has leapt.
    pub(crate) fn has_leapt(&self) -> bool {
        self.has_leapt
    }

    pub(crate) fn kind(&self) -> StoreKind {
        self.kind
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Timers go within their runtime.
        let _entered = self.machine.runtime.enter();
        self.actors.clear();
    }
}
