//! How old the data is.

use datalake_core::run::RunOutcome;
use datalake_runs::run::{Run, RunState};
use jiff::Timestamp;

/// When the table was last known to reflect the sources: at the commit of its version, or at the start of the latest run that succeeded. A
/// run that finds nothing to do commits no version, but confirms the current one.
pub fn confirmed_at(committed_at: Timestamp, runs: &[Run]) -> Timestamp {
    let succeeded = |run: &&Run| run.state == RunState::Ended(RunOutcome::Succeeded);
    let last_success = runs.iter().filter(succeeded).filter_map(|run| run.started_at).max();
    last_success.map_or(committed_at, |started_at| started_at.max(committed_at))
}
