//! Removes the details of runs that only authorized clients get. Error messages and logs name buckets, endpoints, directories and keys.

use datalake_core::run::RunOutcome;

use crate::request::auth::Caller;
use datalake_runs::run::{Run, RunState};

/// The run with the details that the client may see. A server without a token shows all details.
pub fn for_caller(run: Run, caller: Caller) -> Run {
    if caller.is_authorized() {
        return run;
    }
    Run {
        error: run.error.map(|_| message(run.state).to_owned()),
        log_tail: None,
        ..run
    }
}

/// The message in place of the error.
fn message(state: RunState) -> &'static str {
    match state.outcome() {
        None => "the run is waiting; send the token, or sign in, to see the reason",
        Some(RunOutcome::Blocked) => "a guard blocked the run; send the token, or sign in, to see the reason",
        Some(RunOutcome::Misconfigured) => "the run is misconfigured; send the token, or sign in, to see the reason",
        Some(RunOutcome::Stopped) => "the run was stopped; send the token, or sign in, to see the details",
        Some(RunOutcome::Failed | RunOutcome::Succeeded) => "the run failed; send the token, or sign in, to see the reason",
    }
}
