//! The runs that a process launcher started, and which of them a request joins.

use std::collections::VecDeque;

use datalake_core::{progress::RunProgress, run::RunId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::child::ChildOutput;
use crate::{
    idempotency::{JoinedKeys, JoinedRun},
    launcher::{LaunchError, LogicalTime, RunRequest},
    run::{Run, RunParameters},
};

/// Ended runs that are remembered in case they left no report: a day of runs every 15 minutes.
const ENDED_RUNS_MAX: usize = 100;

/// The runs of this process.
#[derive(Default)]
pub(super) struct KnownRuns {
    /// In ascending order of start.
    active: Vec<ActiveRun>,
    /// In ascending order of end.
    ended: VecDeque<Run>,
    joined: JoinedKeys,
    is_shutting_down: bool,
}

/// A run whose child process has not ended.
pub(super) struct ActiveRun {
    pub(super) run: Run,
    pub(super) parameters: RunParameters,
    /// Taken before the child was spawned: the run includes every request that arrived earlier.
    pub(super) spawned: LogicalTime,
    pub(super) stop: CancellationToken,
    pub(super) output: ChildOutput,
}

impl KnownRuns {
    /// The run of the request's key, or else an active run that includes the request; none if the request needs a new run. Records which run the
    /// key joins.
    pub(super) fn join(&mut self, request: &RunRequest) -> Result<Option<Run>, LaunchError> {
        if let Some(key) = &request.run_id
            && let Some((run, has_same_parameters)) = self.find_by_key(key, &request.parameters)
        {
            let run_id = run.run_id.clone();
            return has_same_parameters.then_some(Some(run)).ok_or(LaunchError::KeyReused { run_id });
        }
        let includes = |active: &&ActiveRun| {
            let reads_later = request.arrived < active.spawned || !request.trigger.needs_later_read();
            reads_later && !active.stop.is_cancelled() && active.parameters.covers(&request.parameters)
        };
        let joined = self.active.iter().rev().find(includes).map(|active| active.run.clone());
        if let (Some(key), Some(run)) = (&request.run_id, &joined) {
            let joined = JoinedRun {
                run_id: run.run_id.clone(),
                requested: request.parameters.clone(),
            };
            self.joined.insert(key.clone(), joined);
        }
        Ok(joined)
    }

    /// The run that the key joined.
    pub(super) fn joined(&self, key: &RunId) -> Option<&JoinedRun> {
        self.joined.get(key)
    }

    /// The active runs with their logs so far, and the ended ones.
    pub(super) fn all(&self) -> Vec<Run> {
        let active = self.active.iter().map(|active| Run {
            log_tail: active.output.log.lines(),
            progress: *active.output.progress.borrow(),
            ..active.run.clone()
        });
        active.chain(self.ended.iter().cloned()).collect()
    }

    /// The progress of an active run.
    pub(super) fn progress(&self, run_id: &RunId) -> Option<watch::Receiver<Option<RunProgress>>> {
        let active = self.active.iter().find(|active| active.run.run_id == *run_id)?;
        Some(active.output.progress.subscribe())
    }

    /// Adds a run that has started.
    pub(super) fn add(&mut self, run: ActiveRun) {
        self.active.push(run);
    }

    /// Requests the end of a run if it is active.
    pub(super) fn stop(&self, run_id: &RunId) {
        if let Some(active) = self.active.iter().find(|active| active.run.run_id == *run_id) {
            active.stop.cancel();
        }
    }

    /// Moves an active run to the ended runs. `end` converts it.
    pub(super) fn end(&mut self, run_id: &RunId, end: impl FnOnce(Run) -> Run) {
        let Some(index) = self.active.iter().position(|active| active.run.run_id == *run_id) else {
            return;
        };
        let ActiveRun { run, .. } = self.active.remove(index);
        self.ended.push_back(end(run));
        if self.ended.len() > ENDED_RUNS_MAX {
            self.ended.pop_front();
        }
    }

    /// Requests the end of all active runs. No run may be added from now on.
    pub(super) fn shut_down(&mut self) {
        self.is_shutting_down = true;
        self.active.iter().for_each(|active| active.stop.cancel());
    }

    /// Whether the launcher is shutting down.
    pub(super) fn is_shutting_down(&self) -> bool {
        self.is_shutting_down
    }

    /// The number of active runs.
    pub(super) fn active_count(&self) -> usize {
        self.active.len()
    }

    /// Whether a run is active.
    pub(super) fn has_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// The run that the key started or joined, and whether it was for the same parameters.
    fn find_by_key(&self, key: &RunId, requested: &RunParameters) -> Option<(Run, bool)> {
        if let Some(run) = self.get(key) {
            return Some((run.clone(), !run.differs_from(requested)));
        }
        let joined = self.joined.get(key)?;
        let run = self.get(&joined.run_id)?;
        Some((run.clone(), joined.requested == *requested))
    }

    fn get(&self, run_id: &RunId) -> Option<&Run> {
        let active = self.active.iter().map(|active| &active.run);
        active.chain(&self.ended).find(|run| run.run_id == *run_id)
    }
}
