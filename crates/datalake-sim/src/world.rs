//! One execution: a store, the actors over it, their clocks, and the invariants.
//!
//! The world polls the actors itself and releases one operation of one actor at a time, so that the order of operations is the caller's.

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

use bytes::Bytes;
use datalake_core::{
    keys,
    plan::DeletionGuard,
    report::{RunId, RunMode, RunOutcome, RunReport},
};
use datalake_processor::{
    options::{Lake, RunOptions},
    run,
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    memory::{MemoryBucket, Tags},
    simulation::{Bug, Simulation},
};
use datalake_table::table::{Table, TableSettings};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;

use crate::{
    clock,
    fate::{Fate, Late, Stale},
    gate::{Gate, Operation, SharedQueue, lock, release},
    observed::{Fingerprints, shown, words},
    oracle::{Invariant, Oracle, Violation, violation},
};

/// Tiny files and frequent checkpoints: three users take two data files, and every second commit writes a checkpoint and cleans up.
pub const SETTINGS: TableSettings = TableSettings {
    segment_rows_max: 2,
    commits_per_checkpoint: 2,
};

/// The number of an actor in its world.
pub type ActorId = usize;

/// An edit of a source by the data owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The source.
    pub key: String,
    /// Its new bytes; none removes it.
    pub bytes: Option<Bytes>,
    /// Told apart by stores whose ETags are unique, although the bytes may be the same.
    pub salt: u32,
}

impl Edit {
    fn metadata(&self) -> Metadata {
        match self.salt {
            0 => Metadata::new(),
            salt => Metadata::from([("salt".to_owned(), salt.to_string())]),
        }
    }

    async fn apply(&self, bucket: &dyn Bucket) -> Result<(), datalake_store::error::StoreError> {
        match &self.bytes {
            Some(bytes) => bucket
                .put(&self.key, bytes.clone(), PutMode::Replace, &self.metadata())
                .await
                .map(drop),
            None => bucket.delete(&self.key, None).await,
        }
    }
}

/// What an actor does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A run of the processor under this ID.
    Run {
        /// Runs of one ID are pods of one Job.
        run_id: String,
        /// Which sources it reads.
        mode: RunMode,
    },
    /// A reader that loads the table and follows it.
    Reader {
        /// How often it polls after the first load.
        polls: u32,
    },
    /// The data owner.
    Owner {
        /// Edits, in order.
        edits: Vec<Edit>,
    },
}

impl Role {
    /// An incremental run.
    pub fn run(run_id: &str) -> Self {
        Self::Run {
            run_id: run_id.to_owned(),
            mode: RunMode::Incremental,
        }
    }
}

/// How an actor ended.
#[derive(Debug)]
pub enum Ended {
    /// A run, by its report.
    Run(Box<RunReport>),
    /// A reader, with what it saw.
    Reader(Vec<Seen>),
    /// The data owner.
    Owner,
}

/// What a reader saw in one load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A version and its rows, as `output.csv`.
    Version {
        /// The table.
        table_id: String,
        /// The version.
        number: u64,
        /// Its rows.
        output: String,
    },
    /// The table is not there yet.
    NoTable,
    /// Why the load failed.
    Failure(String),
}

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
    tags: Tags,
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
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("events", &self.events).finish_non_exhaustive()
    }
}

impl World {
    /// A world that begins with a copy of `store`, with a bug planted. Clocks begin at the store's time.
    pub fn new(machine: &Machine, store: &MemoryBucket, tags: Tags, bug: Option<Bug>) -> Self {
        let simulation = Simulation::enter(bug);
        let store = store.snapshot();
        let fingerprints = Fingerprints::of(&store);
        let oracle = Oracle::new(&store, &fingerprints, tags);
        let now = store.now();
        Self {
            machine: machine.clone(),
            simulation,
            store,
            tags,
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
        let gate: Arc<dyn Bucket> = Arc::new(Gate::new(Arc::new(self.store.clone()), Arc::clone(&queue)));
        let future: Pin<Box<dyn Future<Output = Ended>>> = match role {
            Role::Run { run_id, mode } => Box::pin(process(gate, options(run_id, *mode))),
            Role::Reader { polls } => Box::pin(read(gate, *polls)),
            Role::Owner { edits } => Box::pin(own(gate, edits.clone())),
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
        });
        let actor = self.actors.len() - 1;
        self.poll(actor)?;
        Ok(actor)
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
        let Some(performed) = release(&queue, fate) else {
            return self.fire_timer(actor);
        };
        let one = &mut self.actors[actor];
        let mut hasher = DefaultHasher::new();
        let operation = &performed.operation;
        (one.history, operation.name(), &operation.key, performed.digest).hash(&mut hasher);
        one.history = hasher.finish();
        let (is_owner, name) = (one.is_owner, one.name.clone());
        self.late.extend(performed.late);
        let is_write = operation.is_write();
        let checked = match is_write {
            true => self.after_write(&performed.operation.key, is_owner),
            false => Ok(()),
        };
        self.record(&name, performed.operation.to_string(), performed.result);
        checked?;
        self.poll(actor)?;
        self.after_poll(actor)
    }

    fn after_write(&mut self, key: &str, is_owner: bool) -> Result<(), Violation> {
        if self.fingerprints.refresh(&self.store, key) {
            self.written.retain(|written| written != key);
            self.written.push(key.to_owned());
            self.oracle.after_write(&self.store, &self.fingerprints, key, is_owner)?;
        }
        Ok(())
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

    fn after_poll(&mut self, index: ActorId) -> Result<(), Violation> {
        let actor = &self.actors[index];
        match &actor.ended {
            None => Ok(()),
            Some(Ended::Owner) => Ok(()),
            Some(Ended::Run(report)) => {
                let same_id = self
                    .actors
                    .iter()
                    .filter(|other| other.run_id.as_deref() == Some(report.run_id.as_str()));
                self.oracle.check_report(report, same_id.count() == 1)
            }
            Some(Ended::Reader(seen)) => self.check_reader(seen, actor.was_paused),
        }
    }

    fn check_reader(&self, seen: &[Seen], was_paused: bool) -> Result<(), Violation> {
        let is_lenient = was_paused || self.has_faults || self.oracle.leniency.stale_listings;
        let mut last: Option<(&str, u64)> = None;
        for seen in seen {
            match seen {
                Seen::Version { table_id, number, output } => {
                    self.oracle.check_observed(table_id, *number, output)?;
                    if !self.oracle.leniency.stale_listings && last.is_some_and(|(id, last)| id == table_id && last > *number) {
                        return Err(violation(
                            Invariant::WholeVersions,
                            format!("a reader saw version {number} after version {last:?}"),
                        ));
                    }
                    last = Some((table_id, *number));
                }
                Seen::NoTable => {}
                // What a reader has loaded may be removed while it sleeps for longer than the retention.
                Seen::Failure(_) if is_lenient => {}
                Seen::Failure(error) => {
                    return Err(violation(Invariant::WholeVersions, format!("a reader fails: {error}")));
                }
            }
        }
        Ok(())
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
        self.record("store", format!("clock leaps by {by:#}"), "");
        let store_now = self.store.now();
        self.store.set_now(store_now.saturating_add(by).unwrap_or(store_now));
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
        self.after_write(&edit.key, true)
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
        // Whichever object it was: everything is compared.
        let before = std::mem::replace(&mut self.fingerprints, Fingerprints::of(&self.store));
        for key in before.differing(&self.fingerprints) {
            self.oracle.after_write(&self.store, &self.fingerprints, &key, false)?;
        }
        Ok(())
    }

    /// A digest of the whole state: of the store, the clocks, and what each living actor learned.
    pub fn state(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.fingerprints.all, self.now, self.store.now()).hash(&mut hasher);
        for actor in &self.actors {
            match actor.future {
                Some(_) => (true, actor.history, actor.number).hash(&mut hasher),
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
        self.lost_files
    }

    /// Notes that files of the table were lost.
    pub(crate) fn note_lost_files(&mut self) {
        self.lost_files = true;
    }

    /// Removes an object, as an operator or a lifecycle rule does.
    pub(crate) fn lose(&mut self, key: &str) {
        self.lost_files = true;
        drop(self.store.delete(key, None).now_or_never());
        self.fingerprints = Fingerprints::of(&self.store);
        self.oracle = Oracle::new(&self.store, &self.fingerprints, self.tags);
    }

    /// Stores the vacuum's note again at the store's present time.
    pub(crate) fn touch_vacuum_note(&mut self) {
        if let Some(note) = self.store.peek(keys::LAST_VACUUM) {
            let put = self.store.put(keys::LAST_VACUUM, note.bytes, PutMode::Replace, &note.metadata);
            drop(put.now_or_never());
        }
        self.fingerprints = Fingerprints::of(&self.store);
    }

    pub(crate) fn tags(&self) -> Tags {
        self.tags
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Timers go within their runtime.
        let _entered = self.machine.runtime.enter();
        self.actors.clear();
    }
}

/// The options of every simulated run: the guards have tests of their own.
pub(crate) fn options(run_id: &str, mode: RunMode) -> RunOptions {
    let run_id = RunId::parse(run_id).expect("scenarios name runs by valid IDs");
    RunOptions {
        mode,
        deletion_guard: DeletionGuard::Off,
        reject_ratio_max: "1".parse().expect("1 is a share"),
        table: SETTINGS,
        // Timers fire when the scheduler lets them.
        jitter: || 0.5,
        ..RunOptions::new(run_id, clock::now)
    }
}

async fn process(bucket: Arc<dyn Bucket>, options: RunOptions) -> Ended {
    let requests = Arc::default();
    Ended::Run(Box::new(run::run(&Lake { bucket, requests }, &options).await))
}

/// As the API does: a load, then polls of the next entry, and now and then of the entry that is held.
async fn read(bucket: Arc<dyn Bucket>, polls: u32) -> Ended {
    let table = Table::with_settings(bucket, SETTINGS);
    let mut held = None;
    let mut seen = Vec::new();
    for poll in 0..=polls {
        let found = match &held {
            None => table.latest().await,
            Some(held) if poll.is_multiple_of(2) => table.reload_if_lost(held).await,
            Some(held) => table.newer_than(held).await,
        };
        let version = match found {
            Ok(Some(version)) => version,
            Ok(None) if held.is_none() => {
                seen.push(Seen::NoTable);
                continue;
            }
            Ok(None) => continue,
            Err(error) => {
                seen.push(Seen::Failure(words(&error)));
                continue;
            }
        };
        seen.push(match shown(&table, &version).await {
            Ok(output) => Seen::Version {
                table_id: version.table_id().to_owned(),
                number: version.number(),
                output,
            },
            Err(error) => Seen::Failure(words(&error)),
        });
        held = Some(version);
    }
    Ended::Reader(seen)
}

async fn own(bucket: Arc<dyn Bucket>, edits: Vec<Edit>) -> Ended {
    for edit in edits {
        // The owner repeats what fails.
        while edit.apply(bucket.as_ref()).await.is_err() {}
    }
    Ended::Owner
}
