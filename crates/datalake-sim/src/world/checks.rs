//! What must hold as an actor ends.

use datalake_core::{keys, report::RunOutcome};

use crate::{
    oracle::{Invariant, Leniency, Violation, check_copies, violation},
    world::{ActorId, Ended, Seen, World},
};

impl World {
    pub(super) fn after_poll(&mut self, index: ActorId) -> Result<(), Violation> {
        let actor = &self.actors[index];
        match &actor.ended {
            None => Ok(()),
            Some(Ended::Owner) => Ok(()),
            Some(Ended::Run(report)) => {
                let same_id = self
                    .actors
                    .iter()
                    .filter(|other| other.run_id.as_deref() == Some(report.run_id.as_str()));
                let is_expected = self.ignores_create && report.outcome == RunOutcome::Misconfigured;
                if !is_expected {
                    self.oracle.check_report(report, same_id.count() == 1)?;
                }
                let is_undisturbed = actor.is_alone && self.late.is_empty() && self.oracle.leniency == Leniency::default();
                match self.oracle.newest() {
                    Some(newest) if is_undisturbed && report.outcome == RunOutcome::Succeeded => {
                        self.check_output()?;
                        match self.has_late_writes() {
                            true => Ok(()),
                            false => check_copies(&self.store, newest),
                        }
                    }
                    _ => Ok(()),
                }
            }
            Some(Ended::Reader(seen)) => {
                self.check_reader(seen, actor.was_paused)?;
                match actor.is_current.get() && !self.has_faults && self.oracle.leniency == Leniency::default() {
                    true => self.check_current(seen),
                    false => Ok(()),
                }
            }
        }
    }

    /// `output.csv` shows the newest version.
    pub(crate) fn check_output(&self) -> Result<(), Violation> {
        let Some(newest) = self.oracle.newest() else { return Ok(()) };
        let output = self.store.peek(keys::OUTPUT);
        match output.is_some_and(|output| output.bytes == newest.output.as_bytes()) {
            true => Ok(()),
            false => Err(violation(
                Invariant::Published,
                format!("output.csv is not that of the newest version {}", newest.number),
            )),
        }
    }

    /// Whether every run so far has succeeded, and none was killed.
    pub(crate) fn has_only_succeeded(&self) -> bool {
        let mut runs = self.actors.iter().filter(|actor| actor.run_id.is_some());
        runs.all(|run| matches!(&run.ended, Some(Ended::Run(report)) if report.outcome == RunOutcome::Succeeded))
    }

    /// Every run that was not killed ended so, and the table is as it was.
    pub(crate) fn check_refused(&self, expected: RunOutcome) -> Result<(), Violation> {
        for actor in &self.actors {
            match &actor.ended {
                Some(Ended::Run(report)) if report.outcome != expected => {
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
        match self.oracle.has_grown() {
            true => Err(violation(Invariant::Guard, "a version was made")),
            false => Ok(()),
        }
    }

    /// A reader whose last two polls saw the log as it is now holds the newest version.
    fn check_current(&self, seen: &[Seen]) -> Result<(), Violation> {
        let held = seen.iter().rev().find_map(|seen| match seen {
            Seen::Version { number, digest, .. } => Some((*number, digest)),
            Seen::NoTable | Seen::Failure { .. } => None,
        });
        let has_failed = seen.iter().any(|seen| matches!(seen, Seen::Failure { .. }));
        let (Some((number, digest)), Some(newest), false) = (held, self.oracle.newest(), has_failed) else {
            return Ok(());
        };
        let is_newest = newest.number == number && newest.digest.as_ref().is_none_or(|of_newest| of_newest == digest);
        match is_newest {
            true => Ok(()),
            false => Err(violation(
                Invariant::WholeVersions,
                format!(
                    "a reader holds a version {number} that is not the newest, {}, and does not see that",
                    newest.number
                ),
            )),
        }
    }

    fn check_reader(&self, seen: &[Seen], was_paused: bool) -> Result<(), Violation> {
        let is_lenient = self.has_faults || self.oracle.leniency.stale_listings || self.oracle.was_damaged();
        let mut last: Option<(&str, u64)> = None;
        for seen in seen {
            match seen {
                Seen::Version {
                    table_id, number, output, ..
                } => {
                    self.oracle.check_observed((table_id, *number), output)?;
                    // After a rollback the newest version has a lower number.
                    let is_monotonic = !self.oracle.leniency.stale_listings && !self.lost_files;
                    if is_monotonic && last.is_some_and(|(id, last)| id == table_id && last > *number) {
                        return Err(violation(
                            Invariant::WholeVersions,
                            format!("a reader saw version {number} after version {last:?}"),
                        ));
                    }
                    last = Some((table_id, *number));
                }
                Seen::NoTable => {}
                // What a reader has loaded may be removed while it sleeps for longer than the retention.
                Seen::Failure { is_missing, .. } if is_lenient || was_paused && *is_missing => {}
                Seen::Failure { error, .. } => {
                    return Err(violation(Invariant::WholeVersions, format!("a reader fails: {error}")));
                }
            }
        }
        Ok(())
    }
}
