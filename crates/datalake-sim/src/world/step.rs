//! The scheduler of one world: actors are added, polled, paused and killed, and their operations are released one by one.

use std::{
    cell::Cell,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use datalake_core::{
    error_chain::error_chain,
    keys,
    run::{RunOutcome, RunReport},
};
use datalake_store::bucket::{Bucket, Object};
use futures_util::FutureExt;
use jiff::SignedDuration;

use super::{Actor, ActorId, ActorResult, Edit, Event, Role, World, actor, options};
use crate::{
    clock,
    fault::{Fault, StaleListing},
    fingerprints::Fingerprints,
    gate::{GatedBucket, SharedQueue, release},
    invariant::{Invariant, Violation, violation},
    oracle::{Write, Writer},
};

/// The longest virtual time that an actor may wait for a timer; after it, the actor counts as stuck.
const TIMER_MAX: Duration = Duration::from_hours(24);
const TIMER_STEP: Duration = Duration::from_secs(1);

impl World {
    /// Adds an actor and polls it up to its first operation. `number` distinguishes its unique names from those of other actors.
    pub fn spawn(&mut self, name: &str, number: u32, role: &Role) -> Result<ActorId, Violation> {
        let queue = SharedQueue::default();
        let bucket = GatedBucket::new(Arc::new(self.store.clone()), Arc::clone(&queue)).ignoring_create(self.ignores_create);
        let bucket: Arc<dyn Bucket> = Arc::new(bucket);
        let is_current = Rc::new(Cell::new(false));
        let future: Pin<Box<dyn Future<Output = ActorResult>>> = match role {
            Role::Run { run_id, mode } => Box::pin(actor::process(bucket, options(run_id, *mode, self.guard))),
            Role::Reader { polls } => Box::pin(actor::read(bucket, *polls, Rc::clone(&is_current))),
            Role::Owner { edits } => Box::pin(actor::edit(bucket, edits.clone())),
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
            clock_skew: SignedDuration::ZERO,
            result: None,
            was_paused: false,
            is_sole_run: true,
            is_current,
        });
        if matches!(role, Role::Run { .. }) {
            self.mark_concurrent_runs();
        }
        let actor = self.actors.len() - 1;
        self.poll(actor)?;
        Ok(actor)
    }

    /// Marks the active runs as concurrent, if there are several.
    fn mark_concurrent_runs(&mut self) {
        let is_active_run = |actor: &&mut Actor| actor.run_id.is_some() && actor.future.is_some();
        if self.actors.iter_mut().filter(is_active_run).count() > 1 {
            self.actors.iter_mut().filter(is_active_run).for_each(|run| run.is_sole_run = false);
        }
    }

    /// Makes the actor's clock wrong by `skew`.
    pub fn set_clock_skew(&mut self, actor: ActorId, skew: SignedDuration) {
        self.actors[actor].clock_skew = skew;
    }

    /// Executes the next step of an actor.
    pub fn step(&mut self, actor: ActorId) -> Result<(), Violation> {
        self.step_with_fault(actor, Fault::None)
    }

    /// Executes the next step of an actor, and injects a fault into its operation.
    pub fn step_with_fault(&mut self, actor: ActorId, fault: Fault) -> Result<(), Violation> {
        self.steps += 1;
        self.has_faults |= fault != Fault::None;
        if let Fault::StaleListing(StaleListing { missing }) = fault {
            self.actors[actor].queue.lock().hidden = self.written.iter().rev().take(missing).cloned().collect();
        }
        let queue = Arc::clone(&self.actors[actor].queue);
        let written = queue
            .lock()
            .head()
            .filter(|operation| operation.is_write())
            .map(|operation| operation.key.clone());
        let before = written.as_ref().and_then(|key| self.store.peek(key));
        let Some(completed) = release(&queue, fault) else {
            return self.fire_timer(actor);
        };
        let state = &mut self.actors[actor];
        let mut hasher = DefaultHasher::new();
        let operation = &completed.operation;
        (state.history, operation.name(), &operation.key, completed.digest).hash(&mut hasher);
        state.history = hasher.finish();
        let name = state.name.clone();
        let writer = match (state.is_owner, state.is_sole_run) {
            (true, _) => Writer::Owner,
            (false, true) => Writer::SoleRun,
            (false, false) => Writer::ConcurrentRun,
        };
        self.delayed.extend(completed.delayed);
        let is_write = operation.is_write();
        let checked = match is_write {
            true => self.after_write(&completed.operation.key, before, writer),
            false => Ok(()),
        };
        self.record(&name, completed.operation.to_string(), completed.result);
        checked?;
        self.poll(actor)?;
        self.check_actor(actor)
    }

    fn after_write(&mut self, key: &str, before: Option<Object>, writer: Writer) -> Result<(), Violation> {
        if self.fingerprints.refresh(&self.store, key) {
            self.written.retain(|written| written != key);
            self.written.push(key.to_owned());
            if key.starts_with(keys::LOG) {
                self.mark_log_changed();
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

    /// Marks all readers as not current.
    pub(super) fn mark_log_changed(&self) {
        for actor in &self.actors {
            actor.is_current.set(false);
        }
    }

    /// Adds a step to the events and to the trace.
    pub(super) fn record(&mut self, actor: &str, step: String, result: &'static str) {
        let mut hasher = DefaultHasher::new();
        (self.trace.get(), actor, &step, result, self.fingerprints.all).hash(&mut hasher);
        self.trace.set(hasher.finish());
        self.events.push(Event {
            actor: actor.to_owned(),
            step,
            result,
        });
    }

    fn fire_timer(&mut self, actor: ActorId) -> Result<(), Violation> {
        let name = self.actors[actor].name.clone();
        self.record(&name, "timer".to_owned(), "");
        let woken = Arc::clone(&self.actors[actor].woken);
        let mut waited = Duration::ZERO;
        while !woken.is_set() {
            if waited > TIMER_MAX {
                return Err(violation(
                    Invariant::NoPanic,
                    format!("{name} waits neither for the store nor for a timer"),
                ));
            }
            self.runtime.inner.block_on(tokio::time::advance(TIMER_STEP));
            waited += TIMER_STEP;
        }
        self.poll(actor)?;
        self.check_actor(actor)
    }

    fn poll(&mut self, index: ActorId) -> Result<(), Violation> {
        let actor = &mut self.actors[index];
        let Some(future) = &mut actor.future else { return Ok(()) };
        clock::set(self.now.saturating_add(actor.clock_skew).unwrap_or(self.now));
        self.simulation.set_actor(actor.number);
        let waker = Waker::from(Arc::clone(&actor.woken));
        let _entered = self.runtime.inner.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            loop {
                actor.woken.clear();
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                // A future that only yields is polled again at once.
                if polled.is_ready() || !actor.woken.is_set() {
                    break polled;
                }
            }
        }));
        match polled {
            Ok(Poll::Pending) => Ok(()),
            Ok(Poll::Ready(result)) => {
                actor.future = None;
                actor.result = Some(result);
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

    /// Kills the process of an actor: its pending operations are never executed.
    pub fn kill(&mut self, actor: ActorId) {
        let name = self.actors[actor].name.clone();
        self.record(&name, "killed".to_owned(), "");
        let _entered = self.runtime.inner.enter();
        self.actors[actor].future = None;
    }

    /// Records that the actor is paused while others continue.
    pub fn pause(&mut self, actor: ActorId, description: &str) {
        let name = self.actors[actor].name.clone();
        self.record(&name, format!("paused {description}"), "");
        self.actors[actor].was_paused = true;
    }

    /// Executes steps of an actor until it ends.
    pub fn finish(&mut self, actor: ActorId) -> Result<(), Violation> {
        while !self.has_ended(actor) {
            self.step(actor)?;
        }
        Ok(())
    }

    /// Executes a run without faults and concurrent actors, which must succeed.
    pub fn run_alone(&mut self, name: &str, number: u32) -> Result<RunReport, Violation> {
        let actor = self.spawn(name, number, &Role::run(&format!("run-{name}-{number}")))?;
        self.finish(actor)?;
        match self.result(actor) {
            Some(ActorResult::Run(report)) if report.outcome == RunOutcome::Succeeded => Ok((**report).clone()),
            Some(ActorResult::Run(report)) => Err(violation(
                Invariant::Convergence,
                format!(
                    "{name} was not disturbed but ends as {}: {}",
                    report.outcome.as_str(),
                    report.error.as_deref().unwrap_or_default()
                ),
            )),
            _ => Err(violation(Invariant::Convergence, format!("{name} has no report"))),
        }
    }

    /// Edits a source at once, as the data owner.
    pub fn edit(&mut self, edit: &Edit) -> Result<(), Violation> {
        let kind = if edit.bytes.is_some() { "put" } else { "delete" };
        self.record("owner", format!("{kind} {}", edit.key), "ok");
        let applied = edit.apply(&self.store).now_or_never();
        applied
            .expect("the in-memory store responds at once")
            .map_err(|error| violation(Invariant::Sources, error_chain(&error)))?;
        self.after_write(&edit.key, None, Writer::Owner)
    }

    /// The number of writes that have not reached the store.
    pub fn delayed_writes(&self) -> usize {
        self.delayed.len()
    }

    /// Executes a delayed write.
    pub fn deliver_delayed_write(&mut self, index: usize) -> Result<(), Violation> {
        let write = self.delayed.swap_remove(index);
        write.deliver();
        self.record("store", "late write".to_owned(), "");
        self.mark_log_changed();
        // The key of the write is unknown, so all objects are compared.
        let before = std::mem::replace(&mut self.fingerprints, Fingerprints::of(&self.store));
        for key in before.differing(&self.fingerprints) {
            let after = self.store.peek(&key);
            let write = Write {
                key,
                before: None,
                after,
                writer: Writer::ConcurrentRun,
            };
            self.oracle.after_write(&self.store, &self.fingerprints, &write)?;
        }
        Ok(())
    }
}
