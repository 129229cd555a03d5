//! Checks of the result of an actor when it ends.

use datalake_core::{keys, run::RunOutcome};

use crate::{
    invariant::{Invariant, Violation, violation},
    oracle::{ToleratedFaults, check_copies},
    world::{ActorId, ActorResult, Observation, World},
};

impl World {
    pub(super) fn check_actor(&mut self, index: ActorId) -> Result<(), Violation> {
        let actor = &self.actors[index];
        match &actor.result {
            None | Some(ActorResult::Owner) => Ok(()),
            Some(ActorResult::Run(report)) => {
                let same_id = self
                    .actors
                    .iter()
                    .filter(|other| other.run_id.as_deref() == Some(report.run_id.as_str()));
                let is_expected = self.ignores_create && report.outcome == RunOutcome::Misconfigured;
                if !is_expected {
                    self.oracle.check_report(report, same_id.count() == 1)?;
                }
                let is_undisturbed = actor.is_sole_run && self.delayed.is_empty() && self.oracle.tolerated == ToleratedFaults::default();
                match self.oracle.newest() {
                    Some(newest) if is_undisturbed && report.outcome == RunOutcome::Succeeded => {
                        self.check_output()?;
                        match self.may_have_outdated_writes() {
                            true => Ok(()),
                            false => check_copies(&self.store, newest),
                        }
                    }
                    _ => Ok(()),
                }
            }
            Some(ActorResult::Reader(observations)) => {
                self.check_reader(observations, actor.was_paused)?;
                match actor.is_current.get() && !self.has_faults && self.oracle.tolerated == ToleratedFaults::default() {
                    true => self.check_current(observations),
                    false => Ok(()),
                }
            }
        }
    }

    /// `output.csv` contains the newest version.
    pub(crate) fn check_output(&self) -> Result<(), Violation> {
        let Some(newest) = self.oracle.newest() else { return Ok(()) };
        let output = self.store.peek(keys::OUTPUT);
        match output.is_some_and(|output| output.bytes == newest.output.as_bytes()) {
            true => Ok(()),
            false => Err(violation(
                Invariant::Published,
                format!("output.csv does not contain the newest version {}", newest.number),
            )),
        }
    }

    /// Whether every run has succeeded, and none was killed.
    pub(crate) fn has_only_succeeded(&self) -> bool {
        let mut runs = self.actors.iter().filter(|actor| actor.run_id.is_some());
        runs.all(|run| matches!(&run.result, Some(ActorResult::Run(report)) if report.outcome == RunOutcome::Succeeded))
    }

    /// Every run that was not killed has this outcome, and none committed a version.
    pub(crate) fn check_nothing_committed(&self, expected: RunOutcome) -> Result<(), Violation> {
        for actor in &self.actors {
            match &actor.result {
                Some(ActorResult::Run(report)) if report.outcome != expected => {
                    return Err(violation(
                        Invariant::Guard,
                        format!(
                            "{} ends as {}, not as {}",
                            report.run_id,
                            report.outcome.as_str(),
                            expected.as_str()
                        ),
                    ));
                }
                _ => {}
            }
        }
        match self.oracle.has_new_version() {
            true => Err(violation(Invariant::Guard, "a version was committed")),
            false => Ok(()),
        }
    }

    /// A reader has loaded the newest version if the log has not changed during its last two polls.
    fn check_current(&self, observations: &[Observation]) -> Result<(), Violation> {
        let current = observations.iter().rev().find_map(|observation| match observation {
            Observation::Version { number, digest, .. } => Some((*number, digest)),
            Observation::NoTable | Observation::Failure { .. } => None,
        });
        let has_failed = observations
            .iter()
            .any(|observation| matches!(observation, Observation::Failure { .. }));
        let (Some((number, digest)), Some(newest), false) = (current, self.oracle.newest(), has_failed) else {
            return Ok(());
        };
        let is_newest = newest.number == number && newest.digest.as_ref().is_none_or(|of_newest| of_newest == digest);
        match is_newest {
            true => Ok(()),
            false => Err(violation(
                Invariant::WholeVersions,
                format!(
                    "a reader serves version {number} although the newest is {}, and does not detect it",
                    newest.number
                ),
            )),
        }
    }

    fn check_reader(&self, observations: &[Observation], was_paused: bool) -> Result<(), Violation> {
        let is_tolerated = self.has_faults || self.oracle.tolerated.stale_listings || self.oracle.was_damaged();
        let mut last: Option<(&str, u64)> = None;
        for observation in observations {
            match observation {
                Observation::Version {
                    table_id, number, output, ..
                } => {
                    self.oracle.check_loaded((table_id, *number), output)?;
                    // After a rollback the newest version has a lower number.
                    let is_monotonic = !self.oracle.tolerated.stale_listings && !self.lost_files;
                    if is_monotonic && last.is_some_and(|(id, last)| id == table_id && last > *number) {
                        return Err(violation(
                            Invariant::WholeVersions,
                            format!("a reader loaded version {number} after version {last:?}"),
                        ));
                    }
                    last = Some((table_id, *number));
                }
                Observation::NoTable => {}
                // The version of a reader may be removed during a pause longer than the retention.
                Observation::Failure { is_missing, .. } if is_tolerated || was_paused && *is_missing => {}
                Observation::Failure { error, .. } => {
                    return Err(violation(Invariant::WholeVersions, format!("a reader fails: {error}")));
                }
            }
        }
        Ok(())
    }
}
