//! The exhaustive exploration of a scenario: every order of conflicting operations, with every death and every pause.
//!
//! A search without stored states would have to enumerate every equivalence class of orders. This search identifies each state by the content
//! of the store and by what each actor has learned, which determines the actor's next steps. It visits each state once, and replays executions
//! from the start to reach it. Operations that conflict with no other actor are not branched at (`explorer/accesses.rs`).
//!
//! Unexplored choices are taken in random order from a fixed seed, and executions with few context switches are preferred: a search that ends
//! early has tried some of everything, and finds simple violations first.
//!
//! Processes are killed at every state, all at once. This covers the death of one process, because the others can have ended before. The last
//! active actor is paused at every operation. This covers pauses while others are active, because they can run first. It may be killed after
//! the pause.

mod accesses;
mod frontier;
mod replay;

use std::{collections::HashSet, rc::Rc};

use datalake_store::{memory::MemoryBucket, simulation::Bug};
use fastrand::Rng;

pub(crate) use self::replay::pause_actor;
pub use self::replay::replay;
use self::{
    accesses::Accesses,
    frontier::{Choice, Frontier, Path, choices},
    replay::check_end,
};
use crate::{
    gate::Operation,
    invariant::{Invariant, Violation},
    quiescence,
    scenario::{Pause, Scenario},
    schedule::Schedule,
    store_kind::StoreKind,
    world::{ActorId, NextStep, Role, SimRuntime, World},
};

/// Counts of an exploration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Executions from the beginning.
    pub executions: u64,
    /// Steps, including those of replayed prefixes.
    pub steps: u64,
    /// Distinct states.
    pub states: u64,
    /// Executions that reached a visited state.
    pub pruned: u64,
    /// Executions whose end was checked.
    pub ends: u64,
    /// Executions with a pause.
    pub pauses: u64,
}

impl Counts {
    /// Adds the counts of another exploration.
    pub fn add(&mut self, other: &Self) {
        self.executions += other.executions;
        self.steps += other.steps;
        self.states += other.states;
        self.pruned += other.pruned;
        self.ends += other.ends;
        self.pauses += other.pauses;
    }
}

/// A violation and the schedule that reproduces it.
#[derive(Clone, Debug)]
pub struct FoundViolation {
    /// The violation.
    pub violation: Violation,
    /// The schedule that causes it.
    pub schedule: Schedule,
    /// The number of executions before it.
    pub executions: u64,
}

/// Why an exploration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchResult {
    /// Every state was visited.
    Exhausted,
    /// Every state within the bound of context switches was visited.
    Bounded,
    /// It was interrupted, and can be continued.
    Interrupted,
}

/// The exploration of one scenario over one kind of store.
pub struct Explorer {
    runtime: SimRuntime,
    scenario: Scenario,
    kind: StoreKind,
    bug: Option<Bug>,
    /// The prepared lake.
    lake: MemoryBucket,
    rng: Rng,
    accesses: Accesses,
    frontier: Frontier,
    has_started: bool,
    visited: HashSet<u64>,
    /// Pauses that were explored, by state.
    paused: HashSet<(u64, Pause)>,
    /// States at which every process was killed.
    killed: HashSet<u64>,
    /// States of ends that were checked.
    checked_ends: HashSet<u64>,
    counts: Counts,
    found: Vec<FoundViolation>,
    /// Invariants with a found violation. One violation of each is reported.
    violated: HashSet<Invariant>,
}

impl std::fmt::Debug for Explorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Explorer")
            .field("scenario", &self.scenario.name)
            .finish_non_exhaustive()
    }
}

/// An execution and its position in the search.
struct Execution {
    world: World,
    path: Option<Rc<Path>>,
    /// The actor of the last step.
    last: Option<ActorId>,
    /// Context switches between active actors so far.
    switches: usize,
    has_paused: bool,
    was_killed: bool,
}

/// The result of applying a choice.
enum Applied {
    Continue,
    /// A step was merged that conflicts with another actor: the search starts again.
    Restart,
    Violated(Violation),
}

impl Explorer {
    /// Prepares the lake of a scenario.
    pub fn new(runtime: &SimRuntime, scenario: &Scenario, kind: StoreKind, bug: Option<Bug>) -> Result<Self, Violation> {
        Ok(Self {
            runtime: runtime.clone(),
            scenario: scenario.clone(),
            kind,
            bug,
            lake: scenario.prepare(runtime, kind, bug)?,
            rng: Rng::with_seed(1),
            accesses: Accesses::default(),
            frontier: Frontier::default(),
            has_started: false,
            visited: HashSet::new(),
            paused: HashSet::new(),
            killed: HashSet::new(),
            checked_ends: HashSet::new(),
            counts: Counts::default(),
            found: Vec::new(),
            violated: HashSet::new(),
        })
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The violations so far.
    pub fn found(&self) -> &[FoundViolation] {
        &self.found
    }

    /// The names of the scenario and of the kind of store.
    pub fn name(&self) -> String {
        format!("{} {}", self.scenario.name, self.kind)
    }

    /// Explores every order with at most `switches_max` context switches between active actors, until `is_over`. Another call continues.
    pub fn explore(&mut self, switches_max: usize, mut is_over: impl FnMut(&Self) -> bool) -> SearchResult {
        loop {
            if is_over(self) {
                return SearchResult::Interrupted;
            }
            let path = match self.frontier.take(switches_max, &mut self.rng) {
                Some(path) => Some(path),
                None if !self.has_started => None,
                None if !self.frontier.is_empty() => return SearchResult::Bounded,
                None => return SearchResult::Exhausted,
            };
            self.has_started = true;
            self.counts.executions += 1;
            match self.execute(path) {
                Ok(true) => {}
                // An operation was merged although it conflicts with another actor.
                Ok(false) => {
                    self.accesses.restart();
                    self.has_started = false;
                    self.frontier = Frontier::default();
                    self.visited.clear();
                    self.paused.clear();
                    self.killed.clear();
                }
                Err((violation, schedule)) => self.report(violation, schedule),
            }
        }
    }

    fn report(&mut self, violation: Violation, schedule: Schedule) {
        if self.violated.insert(violation.invariant) {
            self.found.push(FoundViolation {
                violation,
                schedule,
                executions: self.counts.executions,
            });
        }
    }

    /// Executes a path, and then continues to an end or to a visited state. Returns false if the search must start again.
    fn execute(&mut self, path: Option<Rc<Path>>) -> Result<bool, (Violation, Schedule)> {
        let world = self.scenario.start(&self.runtime, self.kind, &self.lake, self.bug);
        let world = world.map_err(|violation| (violation, Schedule::new(&self.scenario.name, self.kind, &[])))?;
        let mut execution = Execution {
            world,
            path,
            last: None,
            switches: 0,
            has_paused: false,
            was_killed: false,
        };
        let result = self.follow(&mut execution);
        self.counts.steps += execution.world.steps();
        result.map_err(|violation| {
            let schedule = Schedule::new(&self.scenario.name, self.kind, execution.world.events());
            (violation, schedule)
        })
    }

    fn follow(&mut self, execution: &mut Execution) -> Result<bool, Violation> {
        for choice in choices(execution.path.as_deref()) {
            match self.apply(execution, choice) {
                Applied::Continue => {}
                Applied::Restart => return Ok(false),
                Applied::Violated(violation) => return Err(violation),
            }
        }
        loop {
            let active = Self::active(&execution.world);
            if active.is_empty() || execution.was_killed {
                self.counts.pauses += u64::from(execution.has_paused);
                return self.check_end(execution).map(|()| true);
            }
            let state = execution.world.state();
            if !self.visited.insert(state) {
                self.counts.pruned += 1;
                return Ok(true);
            }
            self.counts.states += 1;
            let choices = self.next_choices(execution, &active, state);
            let Some(((first, _), others)) = choices.split_first() else {
                return Ok(true);
            };
            self.frontier.add(execution.path.as_ref(), others);
            execution.path = Some(Rc::new(Path {
                before: execution.path.take(),
                choice: *first,
            }));
            match self.apply(execution, *first) {
                Applied::Continue => {}
                Applied::Restart => return Ok(false),
                Applied::Violated(violation) => return Err(violation),
            }
        }
    }

    fn active(world: &World) -> Vec<ActorId> {
        (0..world.actors()).filter(|actor| !world.has_ended(*actor)).collect()
    }

    /// The choices at a state, each with the number of context switches up to it. The first one continues with the same actor.
    fn next_choices(&mut self, execution: &Execution, active: &[ActorId], state: u64) -> Vec<(Choice, usize)> {
        let mut choices = Vec::new();
        let last = execution.last.filter(|last| active.contains(last));
        for actor in last.iter().chain(active.iter().filter(|actor| Some(**actor) != last)) {
            let is_switch = last.is_some_and(|last| last != *actor);
            choices.push((Choice::Step(*actor), execution.switches + usize::from(is_switch)));
        }
        if self.killed.insert(quiescence::state(&execution.world)) {
            choices.push((Choice::KillAll, execution.switches));
        }
        if let [only] = active
            && self.may_pause(*only)
            && !execution.has_paused
        {
            for pause in self.scenario.pauses.clone() {
                if self.paused.insert((state, pause)) {
                    choices.push((Choice::Pause(*only, pause), execution.switches));
                }
            }
        }
        choices
    }

    fn may_pause(&self, actor: ActorId) -> bool {
        !self.scenario.pauses.is_empty() && !matches!(self.scenario.actors.get(actor), Some((_, Role::Owner { .. })))
    }

    fn apply(&mut self, execution: &mut Execution, choice: Choice) -> Applied {
        match choice {
            Choice::Step(actor) => self.step(execution, actor),
            Choice::KillAll => {
                execution.was_killed = true;
                for actor in Self::active(&execution.world) {
                    execution.world.kill(actor);
                }
                Applied::Continue
            }
            Choice::Pause(actor, pause) => {
                execution.has_paused = true;
                execution.last = None;
                match pause_actor(&self.scenario, &mut execution.world, actor, pause) {
                    Ok(()) => Applied::Continue,
                    Err(violation) => Applied::Violated(violation),
                }
            }
        }
    }

    /// Executes a step and the independent steps after it. The last active actor executes single steps if it may be paused, so that it can be
    /// paused or killed between any two.
    fn step(&mut self, execution: &mut Execution, actor: ActorId) -> Applied {
        let active = Self::active(&execution.world);
        let is_single = active.len() == 1 && self.may_pause(actor);
        if execution.last.is_some_and(|last| last != actor && active.contains(&last)) {
            execution.switches += 1;
        }
        execution.last = Some(actor);
        let mut is_first = true;
        loop {
            let operation = match execution.world.next_step(actor) {
                NextStep::Operation(operation) => Some(operation),
                NextStep::Timer => None,
                NextStep::Ended => return Applied::Continue,
            };
            if !is_first && (is_single || self.is_dependent(actor, operation.as_ref())) {
                return Applied::Continue;
            }
            if let Some(operation) = &operation
                && !self.accesses.record(actor, operation, !is_first && !is_single)
            {
                return Applied::Restart;
            }
            if let Err(violation) = execution.world.step(actor) {
                return Applied::Violated(violation);
            }
            is_first = false;
        }
    }

    fn is_dependent(&self, actor: ActorId, operation: Option<&Operation>) -> bool {
        operation.is_some_and(|operation| self.accesses.is_dependent(actor, operation))
    }

    fn check_end(&mut self, execution: &mut Execution) -> Result<(), Violation> {
        if self.checked_ends.insert(quiescence::state(&execution.world)) {
            self.counts.ends += 1;
            check_end(&self.scenario, &mut execution.world)?;
        }
        Ok(())
    }
}
