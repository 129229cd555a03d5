//! The exhaustive exploration of a scenario: every order of conflicting operations, with every death and every pause.
//!
//! A search without stored states would have to enumerate every equivalence class of orders. This one knows each state: the store's
//! content, and what each actor learned, which decides what the actor does next. So it visits each state once, by a depth-first search
//! that replays executions from the beginning. Operations that conflict with nothing are not branched at (see `access.rs`). The
//! search is repeated with more and more changes from one living actor to another, so that the simplest violation is found first.
//!
//! Processes die at every state: all of them at once, which covers the death of one, because the others can have ended before. A run
//! sleeps at every operation after the other actors have ended, which covers pauses while they are active: they can go on first.

use std::collections::{HashMap, HashSet};

use datalake_store::{memory::MemoryBucket, simulation::Bug};

use crate::{
    access::Accesses,
    gate::Operation,
    oracle::{Invariant, Violation, violation},
    quiet,
    scenario::{Pause, Scenario, StoreKind},
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

/// Why a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Every state is visited.
    Exhausted,
    /// Every state within the bound of changes between actors is visited.
    Bounded,
    /// It was interrupted.
    Interrupted,
}

struct Frame {
    choices: Vec<(Choice, u32)>,
    at: usize,
}

/// The exploration of one scenario over one kind of store.
pub struct Explorer {
    machine: Machine,
    scenario: Scenario,
    kind: StoreKind,
    bug: Option<Bug>,
    start: MemoryBucket,
    accesses: Accesses,
    /// States, and how many changes between actors were explored from there on.
    visited: HashMap<u64, u32>,
    paused: HashSet<(u64, Pause)>,
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
    last: Option<ActorId>,
    switches: u32,
    has_paused: bool,
    has_stopped: bool,
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
            accesses: Accesses::default(),
            visited: HashMap::new(),
            paused: HashSet::new(),
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

    /// Explores every order with at most `switches_max` changes from a living actor to another, until `is_over`.
    pub fn pass(&mut self, switches_max: u32, mut is_over: impl FnMut(&Self) -> bool) -> Pass {
        loop {
            let mut is_bounded = false;
            let mut frames: Vec<Frame> = Vec::new();
            let outcome = loop {
                if is_over(self) {
                    break Some(Pass::Interrupted);
                }
                self.counts.executions += 1;
                match self.execute(&mut frames, switches_max, &mut is_bounded) {
                    Ok(true) => {}
                    Ok(false) => break None,
                    Err((violation, schedule)) => self.report(violation, schedule),
                }
                while let Some(frame) = frames.last_mut() {
                    frame.at += 1;
                    if frame.at < frame.choices.len() {
                        break;
                    }
                    frames.pop();
                }
                if frames.is_empty() {
                    break Some(if is_bounded { Pass::Bounded } else { Pass::Exhausted });
                }
            };
            if let Some(pass) = outcome {
                return pass;
            }
            // An operation was taken along that must be branched at.
            self.accesses.restart();
            self.visited.clear();
            self.paused.clear();
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

    /// Carries out the choices of the frames and then goes on to an end, to a known state or to the bound. False if the search has to
    /// start again.
    fn execute(&mut self, frames: &mut Vec<Frame>, switches_max: u32, is_bounded: &mut bool) -> Result<bool, (Violation, Schedule)> {
        let world = self.scenario.begin(&self.machine, self.kind, &self.start, self.bug);
        let world = world.map_err(|violation| (violation, Schedule::new(&self.scenario.name, self.kind, &[])))?;
        let mut execution = Execution {
            world,
            last: None,
            switches: 0,
            has_paused: false,
            has_stopped: false,
        };
        let result = self.follow(&mut execution, frames, switches_max, is_bounded);
        self.counts.steps += execution.world.steps();
        result.map_err(|violation| {
            let schedule = Schedule::new(&self.scenario.name, self.kind, execution.world.events());
            (violation, schedule)
        })
    }

    fn follow(
        &mut self,
        execution: &mut Execution,
        frames: &mut Vec<Frame>,
        switches_max: u32,
        is_bounded: &mut bool,
    ) -> Result<bool, Violation> {
        for frame in frames.iter() {
            match self.apply(execution, frame.choices[frame.at].0) {
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
            let left = switches_max.saturating_sub(execution.switches);
            match self.visited.get_mut(&state) {
                Some(explored) if *explored >= left => {
                    self.counts.pruned += 1;
                    return Ok(true);
                }
                Some(explored) => *explored = left,
                None => {
                    self.visited.insert(state, left);
                    self.counts.states += 1;
                }
            }
            let choices = self.choices(execution, &living, state, switches_max, is_bounded);
            let Some((first, _)) = choices.first().copied() else {
                return Ok(true);
            };
            frames.push(Frame { choices, at: 0 });
            match self.apply(execution, first) {
                Advance::On => {}
                Advance::Restart => return Ok(false),
                Advance::Broken(violation) => return Err(violation),
            }
        }
    }

    fn living(world: &World) -> Vec<ActorId> {
        (0..world.actors()).filter(|actor| !world.has_ended(*actor)).collect()
    }

    fn choices(
        &mut self,
        execution: &Execution,
        living: &[ActorId],
        state: u64,
        switches_max: u32,
        is_bounded: &mut bool,
    ) -> Vec<(Choice, u32)> {
        let mut choices = Vec::new();
        let last = execution.last.filter(|last| living.contains(last));
        for actor in last.iter().chain(living.iter().filter(|actor| Some(**actor) != last)) {
            let switches = execution.switches + u32::from(last.is_some_and(|last| last != *actor));
            if switches <= switches_max {
                choices.push((Choice::Step(*actor), switches));
            } else {
                *is_bounded = true;
            }
        }
        if !self.scenario.has_pauses || execution.has_paused {
            return choices;
        }
        if !self.settled.contains(&quiet::state(&execution.world)) {
            choices.push((Choice::Stop, execution.switches));
        }
        if let [only] = living
            && self.is_run(*only)
        {
            for pause in Pause::all() {
                if self.paused.insert((state, pause)) {
                    choices.push((Choice::Pause(*only, pause), execution.switches));
                }
            }
        }
        choices
    }

    fn is_run(&self, actor: ActorId) -> bool {
        matches!(self.scenario.actors.get(actor), None | Some((_, Role::Run { .. })))
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
                match pause_actor(&self.scenario, &mut execution.world, actor, pause) {
                    Ok(()) => Advance::On,
                    Err(violation) => Advance::Broken(violation),
                }
            }
        }
    }

    /// Takes a step and those after it that nothing can conflict with. The last actor, if it is a run, takes single steps: it may sleep or
    /// die between any two.
    fn step(&mut self, execution: &mut Execution, actor: ActorId) -> Advance {
        let living = Self::living(&execution.world);
        let is_single = living.len() == 1 && self.scenario.has_pauses && !execution.has_paused && self.is_run(actor);
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
            quiet::settle(&mut execution.world)?;
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
        return Ok(());
    }
    world.finish(actor)
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
    match has_ended.then(|| quiet::settle(&mut world)) {
        Some(Err(violation)) => broken(world, violation),
        Some(Ok(())) => Ok(world),
        None => broken(world, violation(Invariant::NoPanic, "the schedule ends before its actors do")),
    }
}
