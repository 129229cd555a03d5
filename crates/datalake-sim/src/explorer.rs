//! The exhaustive exploration of a scenario: every order of conflicting operations, with every death and every pause.
//!
//! A search without stored states would have to enumerate every equivalence class of orders. This one knows each state: the store's
//! content, and what each actor learned, which decides what the actor does next. So it visits each state once, and replays executions
//! from the beginning to get there. Operations that conflict with nothing are not branched at (see `access.rs`).
//!
//! What is left to try is tried in random order, from a fixed seed, and executions with few changes from one living actor to another are
//! preferred: a search that ends early has tried something of everything, and finds a simple violation first.
//!
//! Processes die at every state: all of them at once, which covers the death of one, because the others can have ended before. The last
//! living actor sleeps at every operation, which covers pauses while others are active: they can go on first. It may die after it woke up.

use std::{collections::HashSet, rc::Rc};

use datalake_core::report::RunOutcome;
use datalake_store::{memory::MemoryBucket, simulation::Bug};
use fastrand::Rng;

use crate::{
    access::Accesses,
    gate::Operation,
    oracle::{Invariant, Violation, violation},
    quiet,
    scenario::{Expectation, Pause, Scenario, StoreKind},
    schedule::Schedule,
    world::{ActorId, Machine, Next, Role, World},
};

/// A decision of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The actor takes its next step, and those after it that conflict with nothing.
    Step(ActorId),
    /// Every process dies.
    Stop,
    /// The only run that is left sleeps.
    Pause(ActorId, Pause),
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Executions from the beginning.
    pub executions: u64,
    /// Operations, those of replays among them.
    pub steps: u64,
    /// Different states.
    pub states: u64,
    /// Executions that came to a state that was known.
    pub pruned: u64,
    /// Executions that ended and were checked at rest.
    pub ends: u64,
    /// Ends with a pause.
    pub pauses: u64,
}

impl Counts {
    /// Adds those of another exploration.
    pub fn add(&mut self, other: &Self) {
        self.executions += other.executions;
        self.steps += other.steps;
        self.states += other.states;
        self.pruned += other.pruned;
        self.ends += other.ends;
        self.pauses += other.pauses;
    }
}

/// A violation and how to see it again.
#[derive(Clone, Debug)]
pub struct Found {
    /// What does not hold.
    pub violation: Violation,
    /// The order of operations that shows it.
    pub schedule: Schedule,
    /// Executions before it.
    pub executions: u64,
}

/// Why an exploration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Every state is visited.
    Exhausted,
    /// Every state within the bound of changes between actors is visited.
    Bounded,
    /// It was interrupted, and can go on.
    Interrupted,
}

/// The decisions that lead to a state.
#[derive(Debug)]
struct Path {
    before: Option<Rc<Path>>,
    choice: Choice,
}

/// What is left to try after a state, with the same number of changes between living actors.
#[derive(Debug)]
struct Frame {
    path: Option<Rc<Path>>,
    choices: Vec<Choice>,
}

/// The exploration of one scenario over one kind of store.
pub struct Explorer {
    machine: Machine,
    scenario: Scenario,
    kind: StoreKind,
    bug: Option<Bug>,
    start: MemoryBucket,
    rng: Rng,
    accesses: Accesses,
    /// What is left to try, by changes between living actors.
    frontier: Vec<Vec<Frame>>,
    has_begun: bool,
    visited: HashSet<u64>,
    paused: HashSet<(u64, Pause)>,
    /// States of the store at which every process dies.
    stopped: HashSet<u64>,
    settled: HashSet<u64>,
    counts: Counts,
    found: Vec<Found>,
    /// One violation of each invariant is enough.
    broken: HashSet<Invariant>,
}

impl std::fmt::Debug for Explorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Explorer")
            .field("scenario", &self.scenario.name)
            .finish_non_exhaustive()
    }
}

/// An execution under way.
struct Execution {
    world: World,
    path: Option<Rc<Path>>,
    last: Option<ActorId>,
    switches: usize,
    has_paused: bool,
    has_stopped: bool,
}

impl Drop for Path {
    /// Long paths are dropped without recursion.
    fn drop(&mut self) {
        let mut before = self.before.take();
        while let Some(path) = before {
            before = Rc::into_inner(path).and_then(|mut path| path.before.take());
        }
    }
}

/// The decisions of a path, in order.
fn decisions(mut path: Option<&Path>) -> Vec<Choice> {
    let mut decisions = Vec::new();
    while let Some(last) = path {
        decisions.push(last.choice);
        path = last.before.as_deref();
    }
    decisions.reverse();
    decisions
}

fn is_same(one: Option<&Rc<Path>>, other: Option<&Rc<Path>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Rc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// How far an execution comes.
enum Advance {
    On,
    Restart,
    Broken(Violation),
}

impl Explorer {
    /// Prepares the lake.
    pub fn new(machine: &Machine, scenario: &Scenario, kind: StoreKind, bug: Option<Bug>) -> Result<Self, Violation> {
        Ok(Self {
            machine: machine.clone(),
            scenario: scenario.clone(),
            kind,
            bug,
            start: scenario.prepare(machine, kind, bug)?,
            rng: Rng::with_seed(1),
            accesses: Accesses::default(),
            frontier: Vec::new(),
            has_begun: false,
            visited: HashSet::new(),
            paused: HashSet::new(),
            stopped: HashSet::new(),
            settled: HashSet::new(),
            counts: Counts::default(),
            found: Vec::new(),
            broken: HashSet::new(),
        })
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What was found so far.
    pub fn found(&self) -> &[Found] {
        &self.found
    }

    /// The scenario and the kind of store.
    pub fn name(&self) -> String {
        format!("{} {}", self.scenario.name, self.kind)
    }

    /// Explores every order with at most `switches_max` changes from a living actor to another, until `is_over`. A further call goes on.
    pub fn explore(&mut self, switches_max: usize, mut is_over: impl FnMut(&Self) -> bool) -> Pass {
        loop {
            if is_over(self) {
                return Pass::Interrupted;
            }
            let path = match self.take(switches_max) {
                Some(path) => Some(path),
                None if !self.has_begun => None,
                None if self.frontier.iter().any(|frames| !frames.is_empty()) => return Pass::Bounded,
                None => return Pass::Exhausted,
            };
            self.has_begun = true;
            self.counts.executions += 1;
            match self.execute(path) {
                Ok(true) => {}
                // An operation was taken along that must be branched at.
                Ok(false) => {
                    self.accesses.restart();
                    self.has_begun = false;
                    self.frontier.clear();
                    self.visited.clear();
                    self.paused.clear();
                    self.stopped.clear();
                }
                Err((violation, schedule)) => self.report(violation, schedule),
            }
        }
    }

    /// Takes something that is left to try: half of the time with the least changes between living actors, otherwise with more.
    fn take(&mut self, switches_max: usize) -> Option<Rc<Path>> {
        let open = self.frontier.iter().take(switches_max.saturating_add(1)).enumerate();
        let levels: Vec<usize> = open.filter(|(_, frames)| !frames.is_empty()).map(|(level, _)| level).collect();
        let mut levels = levels.into_iter();
        let mut chosen = levels.next()?;
        for level in levels {
            if self.rng.bool() {
                break;
            }
            chosen = level;
        }
        let frames = self.frontier.get_mut(chosen)?;
        let index = self.rng.usize(0..frames.len());
        let frame = frames.get_mut(index)?;
        let choice = frame.choices.swap_remove(self.rng.usize(0..frame.choices.len()));
        let before = frame.path.clone();
        if frame.choices.is_empty() {
            frames.swap_remove(index);
        }
        Some(Rc::new(Path { before, choice }))
    }

    /// Notes what is left to try after a state.
    fn leave(&mut self, path: Option<&Rc<Path>>, choices: &[(Choice, usize)]) {
        for (choice, switches) in choices {
            if self.frontier.len() <= *switches {
                self.frontier.resize_with(switches + 1, Vec::new);
            }
            let Some(frames) = self.frontier.get_mut(*switches) else { continue };
            match frames.last_mut() {
                Some(frame) if is_same(frame.path.as_ref(), path) => frame.choices.push(*choice),
                _ => frames.push(Frame {
                    path: path.cloned(),
                    choices: vec![*choice],
                }),
            }
        }
    }

    fn report(&mut self, violation: Violation, schedule: Schedule) {
        if self.broken.insert(violation.invariant) {
            self.found.push(Found {
                violation,
                schedule,
                executions: self.counts.executions,
            });
        }
    }

    /// Carries out the decisions of a path and then goes on to an end or to a known state. False if the search has to start again.
    fn execute(&mut self, path: Option<Rc<Path>>) -> Result<bool, (Violation, Schedule)> {
        let world = self.scenario.begin(&self.machine, self.kind, &self.start, self.bug);
        let world = world.map_err(|violation| (violation, Schedule::new(&self.scenario.name, self.kind, &[])))?;
        let mut execution = Execution {
            world,
            path,
            last: None,
            switches: 0,
            has_paused: false,
            has_stopped: false,
        };
        let result = self.follow(&mut execution);
        self.counts.steps += execution.world.steps();
        result.map_err(|violation| {
            let schedule = Schedule::new(&self.scenario.name, self.kind, execution.world.events());
            (violation, schedule)
        })
    }

    fn follow(&mut self, execution: &mut Execution) -> Result<bool, Violation> {
        for choice in decisions(execution.path.as_deref()) {
            match self.apply(execution, choice) {
                Advance::On => {}
                Advance::Restart => return Ok(false),
                Advance::Broken(violation) => return Err(violation),
            }
        }
        loop {
            let living = Self::living(&execution.world);
            if living.is_empty() || execution.has_stopped {
                self.counts.pauses += u64::from(execution.has_paused);
                return self.settle(execution).map(|()| true);
            }
            let state = execution.world.state();
            if !self.visited.insert(state) {
                self.counts.pruned += 1;
                return Ok(true);
            }
            self.counts.states += 1;
            let choices = self.choices(execution, &living, state);
            let Some(((first, _), others)) = choices.split_first() else {
                return Ok(true);
            };
            self.leave(execution.path.as_ref(), others);
            execution.path = Some(Rc::new(Path {
                before: execution.path.take(),
                choice: *first,
            }));
            match self.apply(execution, *first) {
                Advance::On => {}
                Advance::Restart => return Ok(false),
                Advance::Broken(violation) => return Err(violation),
            }
        }
    }

    fn living(world: &World) -> Vec<ActorId> {
        (0..world.actors()).filter(|actor| !world.has_ended(*actor)).collect()
    }

    /// What can be decided at a state, each with the changes between living actors up to then. The first is to go on as before.
    fn choices(&mut self, execution: &Execution, living: &[ActorId], state: u64) -> Vec<(Choice, usize)> {
        let mut choices = Vec::new();
        let last = execution.last.filter(|last| living.contains(last));
        for actor in last.iter().chain(living.iter().filter(|actor| Some(**actor) != last)) {
            let is_switch = last.is_some_and(|last| last != *actor);
            choices.push((Choice::Step(*actor), execution.switches + usize::from(is_switch)));
        }
        if self.stopped.insert(quiet::state(&execution.world)) {
            choices.push((Choice::Stop, execution.switches));
        }
        if let [only] = living
            && self.may_sleep(*only)
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

    fn may_sleep(&self, actor: ActorId) -> bool {
        !self.scenario.pauses.is_empty() && !matches!(self.scenario.actors.get(actor), Some((_, Role::Owner { .. })))
    }

    fn apply(&mut self, execution: &mut Execution, choice: Choice) -> Advance {
        match choice {
            Choice::Step(actor) => self.step(execution, actor),
            Choice::Stop => {
                execution.has_stopped = true;
                for actor in Self::living(&execution.world) {
                    execution.world.kill(actor);
                }
                Advance::On
            }
            Choice::Pause(actor, pause) => {
                execution.has_paused = true;
                execution.last = None;
                match pause_actor(&self.scenario, &mut execution.world, actor, pause) {
                    Ok(()) => Advance::On,
                    Err(violation) => Advance::Broken(violation),
                }
            }
        }
    }

    /// Takes a step and those after it that nothing can conflict with. The last living actor takes single steps if it may sleep: it may sleep
    /// or die between any two.
    fn step(&mut self, execution: &mut Execution, actor: ActorId) -> Advance {
        let living = Self::living(&execution.world);
        let is_single = living.len() == 1 && self.may_sleep(actor);
        if execution.last.is_some_and(|last| last != actor && living.contains(&last)) {
            execution.switches += 1;
        }
        execution.last = Some(actor);
        let mut is_first = true;
        loop {
            let operation = match execution.world.next(actor) {
                Next::Operation(operation) => Some(operation),
                Next::Timer => None,
                Next::Ended => return Advance::On,
            };
            if !is_first && (is_single || self.is_visible(actor, operation.as_ref())) {
                return Advance::On;
            }
            if let Some(operation) = &operation
                && !self.accesses.note(actor, operation, !is_first && !is_single)
            {
                return Advance::Restart;
            }
            if let Err(violation) = execution.world.step(actor) {
                return Advance::Broken(violation);
            }
            is_first = false;
        }
    }

    fn is_visible(&self, actor: ActorId, operation: Option<&Operation>) -> bool {
        operation.is_some_and(|operation| self.accesses.is_visible(actor, operation))
    }

    fn settle(&mut self, execution: &mut Execution) -> Result<(), Violation> {
        if self.settled.insert(quiet::state(&execution.world)) {
            self.counts.ends += 1;
            end(&self.scenario, &mut execution.world)?;
        }
        Ok(())
    }
}

/// An actor sleeps, others work, and it goes on: alone, or along with a further run.
pub(crate) fn pause_actor(scenario: &Scenario, world: &mut World, actor: ActorId, pause: Pause) -> Result<(), Violation> {
    world.pause(actor, &pause.to_string());
    scenario.sleep(world, pause)?;
    if scenario.has_companion {
        world.spawn("C", 50, &Role::run("run-c"))?;
    }
    Ok(())
}

/// Checks what came of an execution whose actors have ended or died.
fn end(scenario: &Scenario, world: &mut World) -> Result<(), Violation> {
    match scenario.expectation {
        Expectation::Convergence => quiet::settle(world),
        Expectation::Refusal => world.check_refused(RunOutcome::Refused),
        Expectation::Misconfiguration => world.check_refused(RunOutcome::Misconfigured),
    }
}

/// Replays a schedule, and gives the violation that it shows.
pub fn replay(machine: &Machine, schedule: &Schedule, bug: Option<Bug>) -> Result<World, Box<(Violation, World)>> {
    let broken = |world: World, violation| Err(Box::new((violation, world)));
    let scenario = Scenario::named(&schedule.scenario).expect("schedules name scenarios that exist");
    let start = scenario.prepare(machine, schedule.kind, bug).expect("the lake was prepared before");
    let mut world = scenario
        .begin(machine, schedule.kind, &start, bug)
        .expect("nothing happens before the first operation");
    for line in &schedule.lines {
        let result = line.apply(&scenario, &mut world);
        if let Err(violation) = result {
            return broken(world, violation);
        }
    }
    let has_ended = (0..world.actors()).all(|actor| world.has_ended(actor));
    match has_ended.then(|| end(&scenario, &mut world)) {
        Some(Err(violation)) => broken(world, violation),
        Some(Ok(())) => Ok(world),
        None => broken(world, violation(Invariant::NoPanic, "the schedule ends before its actors do")),
    }
}
