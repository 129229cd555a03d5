//! How views show a run: its state, trigger and duration, advice after a failure, and buttons to start and stop runs.

use datalake_core::report::{Counts, RunOutcome, RunReport};
use maud::{Markup, html};

use crate::{
    components::{command, format::number},
    page::{api_address::ApiAddress, links, run_permission::RunPermission},
};
use datalake_runs::run::{Run, RunState, Trigger};

/// A run's state as a badge. Tests read `data-state`.
pub(crate) fn badge(state: RunState) -> Markup {
    let class = match state {
        RunState::Pending | RunState::Running => "active",
        RunState::Ended(RunOutcome::Succeeded) => "success",
        RunState::Ended(RunOutcome::Failed | RunOutcome::Misconfigured) => "error",
        RunState::Ended(RunOutcome::Refused) => "warning",
        RunState::Ended(RunOutcome::Stopped) => "",
    };
    html! { span class={ "badge " (class) } data-state=(state.as_str()) { (state.as_str()) } }
}

/// A link to a run.
pub(crate) fn link(run_id: &str) -> Markup {
    html! { a.wrap href=(links::run(run_id)) { (run_id) } }
}

/// What triggered a run.
pub(crate) fn trigger(trigger: Option<Trigger>) -> &'static str {
    match trigger {
        Some(Trigger::Api) => "API request",
        Some(Trigger::Schedule) => "schedule",
        Some(Trigger::FirstRun) => "first run (no table yet)",
        Some(Trigger::Kubectl) => "kubectl",
        None => "unknown",
    }
}

/// The duration of a run: that of its report, which uses a monotonic clock, or else the difference of its times. None while it is active.
pub(crate) fn elapsed_ms(run: &Run) -> Option<u64> {
    let reported = run.report.as_ref().map(|report| report.elapsed_ms);
    let by_times = || u64::try_from(run.ended_at?.duration_since(run.started_at?).as_millis()).ok();
    reported.or_else(by_times)
}

/// What a run changed, such as `3 added, 1 rejected`.
pub(crate) fn change_summary(counts: &Counts) -> String {
    let counts = [
        (counts.added, "added"),
        (counts.changed, "changed"),
        (counts.removed, "removed"),
        (counts.rejected, "rejected"),
    ];
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, label)| format!("{} {label}", number(count)))
        .collect();
    if parts.is_empty() {
        "no changes".to_owned()
    } else {
        parts.join(", ")
    }
}

/// What a run that failed has changed, and what the user can do.
pub(crate) fn failure_advice(outcome: RunOutcome, report: Option<&RunReport>) -> &'static str {
    match outcome {
        RunOutcome::Refused => "Nothing was changed. Retrying will not help: check the sources.",
        RunOutcome::Misconfigured => match report.map_or(Some(false), |report| report.committed) {
            Some(false) => "Nothing was changed. Retrying will not help: fix the configuration, the credentials or the table.",
            Some(true) => {
                "The run committed a version and failed after that. Retrying will not help: fix the configuration, the credentials or the \
                 table; the next run then finishes the publication."
            }
            None => {
                "It is unknown whether the run committed a version. Retrying will not help: fix the configuration, the credentials or the table."
            }
        },
        RunOutcome::Stopped => "The next run processes what this run has not committed.",
        RunOutcome::Succeeded | RunOutcome::Failed => {
            "The previous version is still being served. The next run will retry; if it fails too, fix the cause."
        }
    }
}

/// A button that starts a run; without JavaScript the curl command. It has the IDs `start-run` and `run-state`, so a page contains it once.
pub(crate) fn start_button(permission: RunPermission, origin: &str) -> Markup {
    let address = ApiAddress::new("/data");
    let curl = match permission {
        RunPermission::NotOffered => return html! {},
        RunPermission::Open => "curl -X POST",
        RunPermission::NeedsToken | RunPermission::SignedIn => "curl -X POST -H \"Authorization: Bearer $TOKEN\"",
    };
    html! {
        div #start-run data-needs-token[permission == RunPermission::NeedsToken] {
            button.primary type="button" data-start="incremental" hidden { "Start run" }
            (command(curl, origin, &address))
            p #run-state role="status" {}
        }
    }
}

/// A button that stops an active run; without JavaScript the curl command.
pub(crate) fn stop_button(run: &Run, permission: RunPermission, origin: &str) -> Markup {
    let curl = match permission {
        RunPermission::NotOffered => return html! {},
        _ if !run.state.is_active() => return html! {},
        RunPermission::Open => "curl -X DELETE",
        RunPermission::NeedsToken | RunPermission::SignedIn => "curl -X DELETE -H \"Authorization: Bearer $TOKEN\"",
    };
    let address = ApiAddress::new(format!("/runs/{}", run.run_id));
    html! {
        div #stop-run data-needs-token[permission == RunPermission::NeedsToken] {
            button type="button" data-stop=(run.run_id) hidden { "Stop run" }
            (command(curl, origin, &address))
            p #stop-state role="status" {}
        }
    }
}
