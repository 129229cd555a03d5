//! A run as its launcher or its report describes it: parameters, trigger, state.

use std::sync::Arc;

use datalake_core::{
    progress::RunProgress,
    run::{RunId, RunMode, RunOutcome, RunReport},
};
use jiff::Timestamp;

/// What is known about a run from its launcher or its report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The ID of the run.
    pub run_id: RunId,
    /// The state of the run.
    pub state: RunState,
    /// Which sources the run reads; none if it was not recorded.
    pub mode: Option<RunMode>,
    /// The parameters of the run's Job, process or report; none if they are unknown.
    pub parameters: Option<RunParameters>,
    /// What triggered the run; none if it was not recorded.
    pub trigger: Option<Trigger>,
    /// When the run started.
    pub started_at: Option<Timestamp>,
    /// When the run ended.
    pub ended_at: Option<Timestamp>,
    /// How far an active run is; none if its launcher does not know.
    pub progress: Option<RunProgress>,
    /// Why the run failed, or why it has not started.
    pub error: Option<String>,
    /// The last whole lines of the log of the run's process; none if the launcher has no log.
    pub log_tail: Option<Arc<str>>,
    /// The report; none if only the launcher knows the run.
    pub report: Option<Arc<RunReport>>,
}

impl Run {
    /// A run of which only the ID and the state are known.
    pub fn new(run_id: RunId, state: RunState) -> Self {
        Self {
            run_id,
            state,
            mode: None,
            parameters: None,
            trigger: None,
            started_at: None,
            ended_at: None,
            progress: None,
            error: None,
            log_tail: None,
            report: None,
        }
    }

    /// The duration in milliseconds: that of the report, which uses a monotonic clock, or else the difference of the times. None while the run
    /// is active.
    pub fn elapsed_ms(&self) -> Option<u64> {
        let of_report = self.report.as_ref().map(|report| report.elapsed_ms);
        let by_times = || u64::try_from(self.ended_at?.duration_since(self.started_at?).as_millis()).ok();
        of_report.or_else(by_times)
    }

    /// Whether the run is known to have been started with other parameters.
    pub(crate) fn differs_from(&self, requested: &RunParameters) -> bool {
        match &self.parameters {
            Some(parameters) => parameters != requested,
            None => self.mode.is_some_and(|mode| mode != requested.mode),
        }
    }
}

impl From<Arc<RunReport>> for Run {
    fn from(report: Arc<RunReport>) -> Self {
        Self {
            mode: Some(report.mode),
            parameters: Some(RunParameters {
                mode: report.mode,
                allow_mass_delete_of: report.allow_mass_delete_of.clone(),
            }),
            started_at: Some(report.started_at),
            ended_at: Some(report.ended_at),
            error: report.error.clone(),
            report: Some(Arc::clone(&report)),
            ..Self::new(report.run_id.clone(), RunState::Ended(report.outcome))
        }
    }
}

/// The state of a run. It is derived from what exists and never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Requested and not started.
    Pending,
    /// Started and not ended.
    Running,
    /// Ended.
    Ended(RunOutcome),
}

impl RunState {
    /// Whether the run has not ended.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// The outcome of an ended run; none while the run is active.
    pub fn outcome(self) -> Option<RunOutcome> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Ended(outcome) => Some(outcome),
        }
    }

    /// The name of the state in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }
}

/// What triggered a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// A request to the API.
    #[default]
    Api,
    /// A schedule.
    Schedule,
    /// The server itself, because there was no table.
    FirstRun,
    /// An operator with kubectl.
    Kubectl,
}

impl Trigger {
    /// Whether the request needs a run that starts to read after the request arrived. Only API clients expect a run to include what they have
    /// just stored.
    pub(crate) fn needs_later_read(self) -> bool {
        self == Self::Api
    }

    /// The name of the trigger in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "posted",
            Self::Schedule => "schedule",
            Self::FirstRun => "first_run",
            Self::Kubectl => "kubectl",
        }
    }
}

/// The parameters of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunParameters {
    /// Which sources the run reads.
    pub mode: RunMode,
    /// The blocked run whose reported deletions are permitted.
    pub allow_mass_delete_of: Option<RunId>,
}

/// The processor's flag for a run that reads every source.
pub(crate) const FULL: &str = "--full";

/// The processor's flag, followed by a run ID, that permits the deletions that a blocked run reported.
pub(crate) const ALLOW_MASS_DELETE_OF: &str = "--allow-mass-delete-of";

impl RunParameters {
    /// Whether a run with these parameters includes a run with the `requested` ones. A full run includes an incremental one; permitted deletions
    /// must be those that were requested.
    pub fn covers(&self, requested: &Self) -> bool {
        let reads_enough = self.mode == RunMode::Full || requested.mode == RunMode::Incremental;
        let permits_enough = requested.allow_mass_delete_of.is_none() || requested.allow_mass_delete_of == self.allow_mass_delete_of;
        reads_enough && permits_enough
    }

    /// The command-line arguments of the processor for these parameters.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        let mut arguments = Vec::new();
        if self.mode == RunMode::Full {
            arguments.push(FULL);
        }
        if let Some(run_id) = &self.allow_mass_delete_of {
            arguments.extend([ALLOW_MASS_DELETE_OF, run_id.as_str()]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_covers(run: &RunParameters, requested: &RunParameters, expected: bool) {
        assert_eq!(run.covers(requested), expected, "run: {run:?}, requested: {requested:?}");
    }

    #[test]
    fn run_covers_requests_of_its_mode_and_permitted_deletions() {
        let parameters = |mode, run_id: Option<&str>| RunParameters {
            mode,
            allow_mass_delete_of: run_id.map(|run_id| RunId::parse(run_id).unwrap()),
        };
        let (incremental, full) = (
            |run_id| parameters(RunMode::Incremental, run_id),
            |run_id| parameters(RunMode::Full, run_id),
        );
        check_covers(&incremental(None), &incremental(None), true);
        check_covers(&full(None), &incremental(None), true);
        check_covers(&full(None), &full(None), true);
        check_covers(&incremental(None), &full(None), false);
        check_covers(&incremental(Some("a")), &incremental(None), true);
        check_covers(&full(Some("a")), &incremental(Some("a")), true);
        check_covers(&incremental(Some("a")), &incremental(Some("b")), false);
        check_covers(&full(None), &incremental(Some("a")), false);
        check_covers(&incremental(Some("a")), &full(Some("a")), false);
    }
}
