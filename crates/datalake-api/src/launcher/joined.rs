//! The idempotency keys that joined a run of this process. A key that started a run needs no entry: it names the run.

use std::collections::VecDeque;

use datalake_core::report::RunId;

use crate::launcher::JoinedRun;

/// Keys that are remembered, each under 500 bytes: ten for each hour of four days.
const JOINED_MAX: usize = 1_000;

/// The run IDs of keys, each with the run that the key joined. The newest last.
#[derive(Debug, Default)]
pub(super) struct JoinedKeys(VecDeque<(RunId, JoinedRun)>);

impl JoinedKeys {
    /// Remembers which run the key joined.
    pub(super) fn remember(&mut self, key: RunId, joined: JoinedRun) {
        self.0.retain(|(known, _)| *known != key);
        if self.0.len() == JOINED_MAX {
            self.0.pop_front();
        }
        self.0.push_back((key, joined));
    }

    /// The run that the key joined.
    pub(super) fn get(&self, key: &RunId) -> Option<&JoinedRun> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, joined)| joined)
    }
}
