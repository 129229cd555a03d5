//! A run as its launcher or its report describes it: parameters, trigger, state.

use std::sync::Arc;

use datalake_core::report::{RunId, RunMode, RunOutcome, RunReport};
use jiff::Timestamp;

/// What a run does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunParameters {
    /// Which sources the run reads.
    pub mode: RunMode,
    /// The blocked run whose reported deletions are permitted.
    pub allow_mass_delete_of: Option<RunId>,
}

impl RunParameters {
    /// Whether a run with these parameters does all that `requested` asks for: a full run does what an incremental one does, and deletions are
    /// permitted as requested.
    pub fn cover(&self, requested: &Self) -> bool {
        let reads_enough = self.mode == RunMode::Full || requested.mode == RunMode::Incremental;
        let permits_enough = requested.allow_mass_delete_of.is_none() || requested.allow_mass_delete_of == self.allow_mass_delete_of;
        reads_enough && permits_enough
    }

    /// The arguments that the processor's command line gets for them.
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

/// The processor's flag for a run that reads every source.
pub(crate) const FULL: &str = "--full";

/// The processor's flag, followed by a run ID, that permits the deletions that a blocked run reported.
pub(crate) const ALLOW_MASS_DELETE_OF: &str = "--allow-mass-delete-of";

/// What made a run begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// A request to the API.
    #[default]
    Api,
    /// A schedule.
    Schedule,
    /// The server itself, as there was no table yet.
    FirstRun,
    /// Somebody with kubectl.
    Kubectl,
}

impl Trigger {
    /// Whether a run that has begun to read before the request does not answer it: only a client expects to find what it has just stored.
    pub(crate) fn needs_later_read(self) -> bool {
        self == Self::Api
    }

    /// The word that stands for the trigger in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "posted",
            Self::Schedule => "schedule",
            Self::FirstRun => "first_run",
            Self::Kubectl => "kubectl",
        }
    }
}

/// Where a run stands. Computed from what exists, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Asked for, and not begun.
    Pending,
    /// Under way.
    Running,
    /// Ended.
    Ended(RunOutcome),
}

impl RunState {
    /// Whether the run has still to end.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// How the run ended; none while it has still to.
    pub fn outcome(self) -> Option<RunOutcome> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Ended(outcome) => Some(outcome),
        }
    }

    /// The word that stands for the state in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Ended(outcome) => outcome.as_str(),
        }
    }
}

/// What is known of a run, by its launcher or by its report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The run.
    pub run_id: RunId,
    /// Where it stands.
    pub state: RunState,
    /// Which sources it reads; none where nobody recorded it.
    pub mode: Option<RunMode>,
    /// What it was started with, by its Job or its process; none if only its report is known.
    pub parameters: Option<RunParameters>,
    /// What made it begin; none where nobody recorded it.
    pub trigger: Option<Trigger>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// The end of what its process wrote, in whole lines; none where the launcher did not hear it.
    pub log_tail: Option<Arc<str>>,
    /// What it found and did, once that is known: a launcher does not know it.
    pub report: Option<Arc<RunReport>>,
}

impl Run {
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
            run_id: report.run_id.clone(),
            state: RunState::Ended(report.outcome),
            mode: Some(report.mode),
            parameters: Some(RunParameters {
                mode: report.mode,
                allow_mass_delete_of: report.allow_mass_delete_of.clone(),
            }),
            trigger: None,
            started_at: Some(report.started_at),
            ended_at: Some(report.ended_at),
            error: report.error.clone(),
            log_tail: None,
            report: Some(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_cover(run: &RunParameters, requested: &RunParameters, expected: bool) {
        assert_eq!(run.cover(requested), expected, "run: {run:?}, requested: {requested:?}");
    }

    #[test]
    fn runs_cover_requests_of_their_mode_and_deletions() {
        let parameters = |mode, run_id: Option<&str>| RunParameters {
            mode,
            allow_mass_delete_of: run_id.map(|run_id| RunId::parse(run_id).unwrap()),
        };
        let (incremental, full) = (
            |run_id| parameters(RunMode::Incremental, run_id),
            |run_id| parameters(RunMode::Full, run_id),
        );
        check_cover(&incremental(None), &incremental(None), true);
        check_cover(&full(None), &incremental(None), true);
        check_cover(&full(None), &full(None), true);
        check_cover(&incremental(None), &full(None), false);
        check_cover(&incremental(Some("a")), &incremental(None), true);
        check_cover(&full(Some("a")), &incremental(Some("a")), true);
        check_cover(&incremental(Some("a")), &incremental(Some("b")), false);
        check_cover(&full(None), &incremental(Some("a")), false);
        check_cover(&incremental(Some("a")), &full(Some("a")), false);
    }
}
