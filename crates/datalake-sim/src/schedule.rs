//! Schedules as text: the steps of an execution that the explorer found, to read and to replay.

use std::{fmt, str::FromStr};

use crate::{
    explorer::pause_actor,
    invariant::{Invariant, Violation, violation},
    scenario::{Pause, Scenario},
    store_kind::StoreKind,
    world::{Event, NextStep, World},
};

/// The order of operations of one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The name of the scenario.
    pub scenario: String,
    /// The kind of store.
    pub kind: StoreKind,
    /// The steps, in order.
    pub(crate) lines: Vec<Line>,
}

/// One step of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    actor: String,
    step: String,
    result: String,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "scenario {} {}", self.scenario, self.kind)?;
        for Line { actor, step, result } in &self.lines {
            writeln!(f, "{actor} {step}{}{result}", if result.is_empty() { "" } else { "  # " })?;
        }
        Ok(())
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let header = lines.next().and_then(|line| line.strip_prefix("scenario "));
        let (name, kind) = header
            .and_then(|header| header.split_once(' '))
            .ok_or("the first line must be \"scenario NAME STORE\"")?;
        let kind = StoreKind::ALL
            .into_iter()
            .find(|known| known.to_string() == kind.trim())
            .ok_or_else(|| format!("unknown kind of store {kind}"))?;
        if Scenario::named(name).is_none() {
            return Err(format!("unknown scenario {name}"));
        }
        let line = |line: &str| {
            let (line, result) = line.split_once("  # ").unwrap_or((line, ""));
            let (actor, step) = line.split_once(' ').ok_or_else(|| format!("invalid step: {line}"))?;
            Ok::<_, String>(Line {
                actor: actor.to_owned(),
                step: step.trim().to_owned(),
                result: result.to_owned(),
            })
        };
        Ok(Self {
            scenario: name.to_owned(),
            kind,
            lines: lines.map(line).collect::<Result<_, _>>()?,
        })
    }
}

impl Schedule {
    pub(crate) fn new(scenario: &str, kind: StoreKind, events: &[Event]) -> Self {
        let line = |event: &Event| Line {
            actor: event.actor.clone(),
            step: event.step.clone(),
            result: event.result.to_owned(),
        };
        Self {
            scenario: scenario.to_owned(),
            kind,
            lines: events.iter().map(line).collect(),
        }
    }
}

impl Line {
    /// Executes the step. Steps that are part of a pause are skipped.
    pub(crate) fn apply(&self, scenario: &Scenario, world: &mut World) -> Result<(), Violation> {
        let is_of_scenario = self.actor == "C" || scenario.actors.iter().any(|(name, _)| *name == self.actor);
        let Some(actor) = world.actor_named(&self.actor).filter(|_| is_of_scenario) else {
            return Ok(());
        };
        if world.has_ended(actor) {
            return Ok(());
        }
        if self.step == "killed" {
            world.kill(actor);
            return Ok(());
        }
        if let Some(pause) = self.step.strip_prefix("paused ") {
            let pause = Pause::parse(pause).ok_or_else(|| violation(Invariant::NoPanic, format!("unknown pause {pause}")))?;
            return pause_actor(scenario, world, actor, pause);
        }
        let next = match world.next_step(actor) {
            NextStep::Operation(operation) => operation.to_string(),
            NextStep::Timer => "timer".to_owned(),
            NextStep::Ended => String::new(),
        };
        if next != self.step {
            return Err(violation(
                Invariant::NoPanic,
                format!(
                    "the schedule is outdated: the next step of {} is {next}, not {}",
                    self.actor, self.step
                ),
            ));
        }
        world.step(actor)
    }
}
