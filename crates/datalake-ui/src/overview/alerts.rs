//! The banners at the top of the overview. Which of them are shown is decided by a pure function.

use datalake_core::{keys, report::RunOutcome};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::{
    components::{self, Severity, format, run},
    page::{
        links,
        run_permission::RunPermission,
        status::{LakeStatus, Staleness},
    },
};
use datalake_api::snapshots::watch::TableState;
use datalake_runs::run::Run;

/// A condition that the operator should know about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Alert<'a> {
    /// The store has not been read since this server started.
    NotLoaded,
    /// No run has succeeded yet. The active run, if there is one.
    NoTable(Option<&'a Run>),
    /// The store cannot be read, so the shown data may not be the latest.
    StoreUnreachable { since: Timestamp, checked_at: Option<Timestamp> },
    /// No run has confirmed the data for too long.
    Stale(SignedDuration, Staleness),
    /// The last completed run did not succeed.
    RunFailed(&'a Run, RunOutcome),
}

/// The banners, the most severe first; none if there is nothing to report.
pub(crate) fn banners(status: &LakeStatus, permission: RunPermission, now: Timestamp) -> Markup {
    html! {
        @for alert in alerts(status) { (banner(&alert, permission, now)) }
    }
}

fn alerts(status: &LakeStatus) -> Vec<Alert<'_>> {
    let table = &status.table;
    let completed = status.runs.iter().filter_map(|run| Some((run, run.state.outcome()?)));
    // A run that was stopped is no surprise to the user who stopped it.
    let last = { completed }.find(|(_, outcome)| *outcome != RunOutcome::Stopped);
    let failed = last.filter(|(_, outcome)| *outcome != RunOutcome::Succeeded);
    let unreachable = table.failing_since.map(|since| Alert::StoreUnreachable {
        since,
        checked_at: table.checked_at,
    });
    let of_table = match &table.state {
        TableState::Loading => Some(Alert::NotLoaded),
        TableState::Missing => Some(Alert::NoTable(status.runs.iter().find(|run| run.state.is_active()))),
        TableState::Loaded(_) => status
            .data_age()
            .zip(status.staleness())
            .map(|(age, staleness)| Alert::Stale(age, staleness)),
    };
    let unreachable = unreachable.filter(|_| of_table != Some(Alert::NotLoaded));
    let failed = failed.map(|(run, outcome)| Alert::RunFailed(run, outcome));
    unreachable.into_iter().chain(of_table).chain(failed).collect()
}

fn banner(alert: &Alert<'_>, permission: RunPermission, now: Timestamp) -> Markup {
    match alert {
        Alert::NotLoaded => components::banner(
            Severity::Error,
            "not-loaded",
            "The lake has not been loaded yet",
            &html! { p { "The store has not responded since this server started. " (check_log()) } },
        ),
        Alert::NoTable(run) => components::banner(Severity::Info, "no-table", "No table yet", &first_run(*run)),
        Alert::StoreUnreachable { since, checked_at } => components::banner(
            Severity::Error,
            "store-unreachable",
            "The store is unreachable",
            &html! {
                p {
                    "The store, or the table in it, has been unreadable since " (format::time(*since, now)) ". "
                    @if let Some(checked_at) = checked_at {
                        "This page still serves the last data confirmed at " (format::time(*checked_at, now)) ". "
                    }
                    (check_log())
                }
            },
        ),
        Alert::Stale(age, staleness) => components::banner(Severity::Error, "stale", "Data is stale", &stale(*age, *staleness, permission)),
        Alert::RunFailed(run, outcome) => failed(run, *outcome, now),
    }
}

/// How to find the cause of a failure to read the lake.
fn check_log() -> Markup {
    html! { "See the server log for the cause, or run " code { "datalake doctor --lake URL" } "." }
}

fn stale(age: SignedDuration, staleness: Staleness, permission: RunPermission) -> Markup {
    html! {
        p {
            "No run has confirmed it for " (format::duration(age)) "; "
            @match staleness {
                Staleness::RunMissed(scheduled) => { "a run was scheduled for " (format::absolute_time(scheduled)) ". " },
                Staleness::IntervalExceeded => "the expected interval is 1 hour. ",
            }
            "Check " a href=(links::RUNS_PAGE) { "recent runs" } " and whether the schedule is still active"
            @match permission {
                RunPermission::Open | RunPermission::NeedsToken | RunPermission::SignedIn => ", or start a run now.",
                RunPermission::NotOffered => ".",
            }
        }
    }
}

fn first_run(run: Option<&Run>) -> Markup {
    html! {
        p {
            "The first successful run creates the table."
            @if let Some(run) = run { " Run " (run::link(run.run_id.as_str())) " is " (run::badge(run.state)) "." }
        }
        p { "Add sources named " code { (keys::SOURCES) "{user_id}.csv" } " and " code { (keys::SOURCES) "{user_id}.png" } " to the lake." }
    }
}

fn failed(run: &Run, outcome: RunOutcome, now: Timestamp) -> Markup {
    let (severity, title) = match outcome {
        RunOutcome::Refused => (Severity::Warning, "The last run was blocked by a safety check"),
        RunOutcome::Misconfigured => (Severity::Error, "The last run had an invalid configuration"),
        RunOutcome::Succeeded | RunOutcome::Failed | RunOutcome::Stopped => (Severity::Error, "The last run failed"),
    };
    let message = html! {
        p {
            "Run " (run::link(run.run_id.as_str()))
            @if let Some(ended_at) = run.ended_at { ", ended " (format::time(ended_at, now)) }
            ". " (run::failure_advice(outcome, run.report.as_deref()))
        }
        @if let Some(error) = &run.error {
            p { code.wrap { (error) } }
        }
    };
    components::banner(severity, outcome.as_str(), title, &message)
}

#[cfg(test)]
mod tests;
