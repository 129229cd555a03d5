//! The data of the page, as far as it can show them.

use datalake_core::{
    dataset::Dataset,
    run::{RunId, RunOutcome},
};
use datalake_table::memory::snapshot::Snapshot;
use jiff::Timestamp;

use crate::{
    diff::{columns::OtherColumns, model::Changes},
    page::run_permission::RunPermission,
};
use datalake_api::lake_label::LakeLabel;
use datalake_runs::run::{Run, RunState};

/// The data of the page.
pub(crate) struct RunPage<'a> {
    pub(crate) run: &'a Run,
    /// The declaration of the rows.
    pub(crate) dataset: &'a Dataset,
    pub(crate) title: &'a str,
    pub(crate) changes: &'a RunChanges,
    /// The version at the end of the run, which records the details of rejected sources.
    pub(crate) recorded: Option<&'a Snapshot>,
    /// The latest version.
    pub(crate) latest: Option<&'a Snapshot>,
    /// A run that started after the end of this one, and succeeded.
    pub(crate) succeeded: Option<&'a RunId>,
    /// How commands address the lake, for clients that may know it.
    pub(crate) lake: Option<&'a LakeLabel>,
    pub(crate) permission: RunPermission,
    /// Scheme, host and port of the server.
    pub(crate) origin: &'a str,
    pub(crate) now: Timestamp,
}

/// One of `runs` that started after the end of `run`, and succeeded.
pub(crate) fn succeeded_after<'a>(run: &Run, runs: &'a [Run]) -> Option<&'a RunId> {
    let ended_at = run.ended_at?;
    let is_later = |other: &&Run| other.started_at.is_some_and(|started_at| started_at >= ended_at);
    let succeeded = |other: &&Run| other.state == RunState::Ended(RunOutcome::Succeeded);
    let found = runs.iter().filter(is_later).find(succeeded)?;
    Some(&found.run_id)
}

/// What a run changed in the table.
#[derive(Debug)]
pub(crate) enum RunChanges {
    /// The run created no version.
    None,
    /// The run created the first version: all rows are new.
    FirstVersion { rows: usize },
    /// The run created version `until`, the next after `since`.
    Between { since: u64, until: u64, changes: Changes },
    /// The run created version `until` with other columns than its predecessor `since`.
    OtherColumns { since: u64, until: u64, columns: OtherColumns },
    /// The rows of one of the versions are no longer available.
    Expired,
    /// The versions are being read, or the store cannot be read now.
    Loading,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(run_id: &str, state: RunState, started: i64, ended: i64) -> Run {
        Run {
            started_at: Timestamp::from_second(started).ok(),
            ended_at: Timestamp::from_second(ended).ok(),
            ..Run::new(RunId::parse(run_id).unwrap(), state)
        }
    }

    #[test]
    fn later_run_that_succeeded_is_found() {
        let blocked = run("blocked", RunState::Ended(RunOutcome::Blocked), 10, 20);
        let find = |state, started| {
            let runs = [run("other", state, started, started + 1), blocked.clone()];
            succeeded_after(&blocked, &runs).is_some()
        };
        assert!(find(RunState::Ended(RunOutcome::Succeeded), 20));
        assert!(
            !find(RunState::Ended(RunOutcome::Succeeded), 19),
            "it may have read earlier sources"
        );
        assert!(!find(RunState::Ended(RunOutcome::Failed), 30));
        assert!(!find(RunState::Running, 30));
    }
}
