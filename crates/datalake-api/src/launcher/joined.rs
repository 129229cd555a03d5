//! The wishes that joined a run: whoever repeats one is answered with that run also after its end.

use std::collections::VecDeque;

use datalake_core::report::RunId;

/// Wishes that are remembered, each under 300 bytes: ten for each hour of four days.
const JOINED_MAX: usize = 1_000;

/// Ids that were wished for while another run was active, with that run's. The newest last.
#[derive(Debug, Default)]
pub(super) struct Joined(VecDeque<(RunId, RunId)>);

impl Joined {
    /// Remembers that the wish for `wished` was answered with `run_id`.
    pub(super) fn remember(&mut self, wished: RunId, run_id: RunId) {
        self.forget(&wished);
        if self.0.len() == JOINED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((wished, run_id));
    }

    /// Forgets what the wish joined: it has a run of its own now.
    pub(super) fn forget(&mut self, wished: &RunId) {
        self.0.retain(|(known, _)| known != wished);
    }

    /// The run that a wish joined; the wished one itself where it joined none.
    pub(super) fn answer<'a>(&'a self, wished: &'a RunId) -> &'a RunId {
        let joined = self.0.iter().find(|(known, _)| known == wished);
        joined.map_or(wished, |(_, run_id)| run_id)
    }
}
