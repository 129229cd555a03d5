//! How views show a run: its state, trigger and duration, advice after a failure, and buttons to start and stop runs.

use std::borrow::Cow;

use datalake_core::{
    dataset::Dataset,
    run::{Counts, RunOutcome, RunReport, short_id},
};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        command,
        format::{number, short_time},
        labels,
    },
    page::{api_address::ApiAddress, links, run_permission::RunPermission},
};
use datalake_runs::run::{Run, RunState, Trigger};

/// All states. The API returns their codes, and pages show their labels.
const STATES: [RunState; 7] = [
    RunState::Pending,
    RunState::Running,
    RunState::Ended(RunOutcome::Succeeded),
    RunState::Ended(RunOutcome::Failed),
    RunState::Ended(RunOutcome::Blocked),
    RunState::Ended(RunOutcome::Misconfigured),
    RunState::Ended(RunOutcome::Stopped),
];

/// A state as pages show it. The script of runs has the same labels.
pub(crate) fn state_label(state: RunState) -> &'static str {
    match state {
        RunState::Pending => "Queued",
        RunState::Running => "Running",
        RunState::Ended(RunOutcome::Succeeded) => "Succeeded",
        RunState::Ended(RunOutcome::Failed) => "Failed",
        RunState::Ended(RunOutcome::Blocked) => "Blocked",
        RunState::Ended(RunOutcome::Misconfigured) => "Invalid configuration",
        RunState::Ended(RunOutcome::Stopped) => "Stopped",
    }
}

/// The label of a state's code. An unknown code is returned unchanged.
pub(crate) fn label_of_code(code: &str) -> &str {
    let state = STATES.into_iter().find(|state| state.as_str() == code);
    state.map_or(code, |state| state_label(state))
}

/// A run's state as a badge. Tests read `data-state`.
pub(crate) fn badge(run: &Run) -> Markup {
    if is_waiting_for_sources(run) {
        return html! { span.badge data-state="waiting" title="The lake has no sources yet" { "Waiting" } };
    }
    let state = run.state;
    let class = match state {
        RunState::Pending | RunState::Running => "active",
        RunState::Ended(RunOutcome::Succeeded) => "success",
        RunState::Ended(RunOutcome::Failed | RunOutcome::Misconfigured) => "error",
        RunState::Ended(RunOutcome::Blocked) => "warning",
        RunState::Ended(RunOutcome::Stopped) => "",
    };
    html! { span class={ "badge " (class) } data-state=(state.as_str()) { (state_label(state)) } }
}

/// A link to a run, with its short ID. The title has the whole ID.
pub(crate) fn link(run_id: &str) -> Markup {
    html! { a.run-id href=(links::run(run_id)) title=(run_id) { (short_id(run_id)) } }
}

/// The short ID of a run, which a click copies completely.
pub(crate) fn id(run_id: &str) -> Markup {
    html! { code.run-id title=(run_id) data-copy=(run_id) { (short_id(run_id)) } }
}

/// The title of a run: when it started, or its ID.
pub(crate) fn title(run: &Run, now: Timestamp) -> String {
    match run.started_at {
        Some(started_at) => format!("Run of {}", short_time(started_at, now)),
        None => format!("Run {}", short_id(run.run_id.as_str())),
    }
}

/// Whether the run found an empty lake: it is waiting for sources, which is no failure.
pub(crate) fn is_waiting_for_sources(run: &Run) -> bool {
    let is_blocked = run.state == RunState::Ended(RunOutcome::Blocked);
    let report = run.report.as_deref().filter(|_| is_blocked);
    report.is_some_and(|report| {
        let has_users = report.blocked_deletions.as_ref().is_some_and(|blocked| blocked.known > 0);
        report.counts.listed == 0 && report.version.is_none() && !has_users
    })
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

/// What a run changed, such as `3 added, 1 newly rejected`.
pub(crate) fn change_summary(counts: &Counts) -> String {
    let counts = [
        (counts.added, "added"),
        (counts.changed, "changed"),
        (counts.removed, "removed"),
        (counts.rejected_new, "newly rejected"),
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

/// Why a run failed. The removals that a guard blocked have a card and a command of their own, so their message is short.
pub(crate) fn error<'a>(run: &'a Run, dataset: &Dataset) -> Option<Cow<'a, str>> {
    let blocked = run.report.as_deref().and_then(|report| report.blocked_deletions.as_ref());
    match blocked.map(|blocked| (blocked, &*blocked.folders)) {
        Some((blocked, _)) if blocked.count > 0 => Some(Cow::Owned(format!(
            "{} of {} would be removed, so nothing was changed",
            number(blocked.count),
            labels::counted_rows(dataset, blocked.known)
        ))),
        Some((_, [folder, ..])) => Some(Cow::Owned(format!("{folder}, so nothing was changed"))),
        Some((_, [])) | None => run.error.as_deref().map(Cow::Borrowed),
    }
}

/// What a run that failed has changed, and what the user can do.
pub(crate) fn failure_advice(outcome: RunOutcome, report: Option<&RunReport>) -> &'static str {
    match outcome {
        RunOutcome::Blocked => match report.and_then(|report| report.blocked_deletions.as_ref()) {
            Some(blocked) if blocked.rejected > 0 => {
                "Retrying will not help: correct the declaration or the rejected sources, or allow the removals."
            }
            Some(_) => "Retrying will not help: restore the sources, or allow the removals.",
            None => "Retrying will not help: fix the sources.",
        },
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
        RunOutcome::Stopped => match report.map_or(Some(false), |report| report.committed) {
            Some(false) => "No changes were made; the next run starts over.",
            Some(true) | None => "The next run processes what this run has not committed.",
        },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn script_has_the_label_of_each_state() {
        let script = include_str!("../assets/runs.js");
        for state in STATES {
            let entry = format!("{}: \"{}\"", state.as_str(), state_label(state));
            assert!(script.contains(&entry), "{entry}");
            assert_eq!(label_of_code(state.as_str()), state_label(state));
        }
        assert_eq!(label_of_code("other"), "other");
    }
}
