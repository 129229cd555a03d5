//! The pauses and the end of an execution, which exploration and replay share, and the replay of schedules.

use datalake_core::run::RunOutcome;
use datalake_store::simulation::Bug;

use crate::{
    invariant::{Invariant, Violation, violation},
    quiescence,
    scenario::{Expectation, Pause, Scenario},
    schedule::Schedule,
    world::{ActorId, Role, SimRuntime, World},
};

/// Pauses an actor while others work. It then continues, with a further run if the scenario has one.
pub(crate) fn pause_actor(scenario: &Scenario, world: &mut World, actor: ActorId, pause: Pause) -> Result<(), Violation> {
    world.pause(actor, &pause.to_string());
    scenario.advance_during_pause(world, pause)?;
    if scenario.has_concurrent_run {
        world.spawn("C", 50, &Role::run("run-c"))?;
    }
    Ok(())
}

/// Checks an execution whose actors have ended or were killed.
pub(super) fn check_end(scenario: &Scenario, world: &mut World) -> Result<(), Violation> {
    match scenario.expectation {
        Expectation::Convergence => quiescence::check(world),
        Expectation::Blocked => world.check_nothing_committed(RunOutcome::Blocked),
        Expectation::Misconfigured => world.check_nothing_committed(RunOutcome::Misconfigured),
    }
}

/// Replays a schedule, and returns the violation that it causes.
pub fn replay(runtime: &SimRuntime, schedule: &Schedule, bug: Option<Bug>) -> Result<World, Box<(Violation, World)>> {
    let violated = |world: World, violation| Err(Box::new((violation, world)));
    let scenario = Scenario::named(&schedule.scenario).expect("a parsed schedule names an existing scenario");
    let lake = scenario
        .prepare(runtime, schedule.kind, bug)
        .expect("the lake has been prepared without a violation before");
    let mut world = scenario
        .start(runtime, schedule.kind, &lake, bug)
        .expect("no invariant can be violated before the first operation");
    for line in &schedule.lines {
        let result = line.apply(&scenario, &mut world);
        if let Err(violation) = result {
            return violated(world, violation);
        }
    }
    let has_ended = (0..world.actors()).all(|actor| world.has_ended(actor));
    match has_ended.then(|| check_end(&scenario, &mut world)) {
        Some(Err(violation)) => violated(world, violation),
        Some(Ok(())) => Ok(world),
        None => violated(world, violation(Invariant::NoPanic, "the schedule ends before its actors do")),
    }
}
