//! Details of runs that only a client with the token gets. Why a run failed, and its log, name buckets, endpoints, folders and keys.

use datalake_core::report::RunOutcome;

use crate::request::auth::Caller;
use datalake_runs::run::{Run, RunState};

/// The run as this client may see it. A server without a token shows everything.
pub fn for_caller(run: Run, caller: Caller) -> Run {
    if caller.has_rights() {
        return run;
    }
    Run {
        error: run.error.map(|_| message(run.state).to_owned()),
        log_tail: None,
        ..run
    }
}

/// Stands for the cause: one message for each state that has one.
fn message(state: RunState) -> &'static str {
    match state.outcome() {
        None => "the run is waiting; send the token, or sign in, to see for what",
        Some(RunOutcome::Refused) => "a guard stopped the run; send the token, or sign in, to see why",
        Some(RunOutcome::Misconfigured) => "the run cannot work as it is configured; send the token, or sign in, to see why",
        Some(RunOutcome::Stopped) => "the run was stopped; send the token, or sign in, to see the details",
        Some(RunOutcome::Failed | RunOutcome::Succeeded) => "the run failed; send the token, or sign in, to see why",
    }
}
