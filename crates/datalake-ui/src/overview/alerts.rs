//! The banners at the top of the overview. Which of them are shown is decided by a pure function.

use datalake_core::{dataset::Dataset, run::RunOutcome};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use crate::{
    components::{self, Severity, format, run},
    overview::first_steps,
    page::{
        lake_status::{LakeStatus, Staleness},
        links,
        run_permission::RunPermission,
        store_unreachable::check_log,
    },
};
use datalake_api::{lake_label::LakeLabel, snapshots::watch::TableState};
use datalake_runs::run::Run;

/// A condition that the operator should know about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Alert<'a> {
    /// The store has not been read since this server started.
    NotLoaded,
    /// There is no table, and no sources are known: the first steps. The active run, if there is one.
    NoSources(Option<&'a Run>),
    /// There is no table yet, although the last completed run found sources. The active run, if there is one.
    NoTable(Option<&'a Run>),
    /// No run has confirmed the data for too long.
    Stale(SignedDuration, Staleness),
    /// The last completed run did not succeed.
    RunFailed(&'a Run, RunOutcome, Table),
}

/// Whether there is a table whose rows are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Loaded,
    /// There is none, or it has not been loaded.
    Unknown,
}

/// The banners, the most severe first; none if there is nothing to report. All pages show that the store is unreachable. `lake` is the address
/// of the lake for clients that may know it.
pub(crate) fn banners(
    status: &LakeStatus,
    dataset: &Dataset,
    lake: Option<&LakeLabel>,
    permission: RunPermission,
    now: Timestamp,
) -> Markup {
    html! {
        @for alert in alerts(status) { (banner(&alert, dataset, lake, permission, now)) }
    }
}

fn alerts(status: &LakeStatus) -> Vec<Alert<'_>> {
    let completed = status.runs.iter().filter_map(|run| Some((run, run.state.outcome()?)));
    // A run that was stopped is no surprise to the user who stopped it.
    let last = { completed }.find(|(_, outcome)| *outcome != RunOutcome::Stopped);
    let failed = last.filter(|(run, outcome)| *outcome != RunOutcome::Succeeded && !run::is_waiting_for_sources(run));
    let active = || status.runs.iter().find(|run| run.state.is_active());
    let of_table = match &status.table.state {
        TableState::Loading => Some(Alert::NotLoaded),
        // The failure is why there is no table.
        TableState::Missing if failed.is_some() => None,
        TableState::Missing if has_sources(&status.runs) => Some(Alert::NoTable(active())),
        TableState::Missing => Some(Alert::NoSources(active())),
        TableState::Loaded(_) => status
            .data_age()
            .zip(status.staleness())
            .map(|(age, staleness)| Alert::Stale(age, staleness)),
    };
    let table = match &status.table.state {
        TableState::Loaded(_) => Table::Loaded,
        TableState::Missing | TableState::Loading => Table::Unknown,
    };
    let failed = failed.map(|(run, outcome)| Alert::RunFailed(run, outcome, table));
    of_table.into_iter().chain(failed).collect()
}

/// Whether the last report lists sources.
fn has_sources(runs: &[Run]) -> bool {
    let report = runs.iter().find_map(|run| run.report.as_deref());
    report.is_some_and(|report| report.counts.csv_listed > 0)
}

fn banner(alert: &Alert<'_>, dataset: &Dataset, lake: Option<&LakeLabel>, permission: RunPermission, now: Timestamp) -> Markup {
    match alert {
        Alert::NotLoaded => components::banner(
            Severity::Error,
            "not-loaded",
            "The lake has not been loaded yet",
            &html! { p { "The store has not responded since this server started." } (check_log(lake)) },
        ),
        Alert::NoSources(active) => first_steps::card(dataset, lake, *active, permission),
        Alert::NoTable(active) => no_table(*active),
        Alert::Stale(age, staleness) => components::banner(Severity::Error, "stale", "Data is stale", &stale(*age, *staleness, permission)),
        Alert::RunFailed(run, outcome, table) => failed(run, *outcome, *table, dataset, now),
    }
}

fn no_table(active: Option<&Run>) -> Markup {
    let message = html! {
        p {
            "The lake has sources. The first successful run creates the table."
            @if let Some(run) = active { " Run " (run::link(run.run_id.as_str())) ": " (run::badge(run)) }
        }
    };
    components::banner(Severity::Info, "no-table", "No data yet", &message)
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

fn failed(run: &Run, outcome: RunOutcome, table: Table, dataset: &Dataset, now: Timestamp) -> Markup {
    let (severity, title) = match outcome {
        RunOutcome::Blocked => (Severity::Warning, "The last run was blocked by a safety check"),
        RunOutcome::Misconfigured => (Severity::Error, "The last run had an invalid configuration"),
        RunOutcome::Succeeded | RunOutcome::Failed | RunOutcome::Stopped => (Severity::Error, "The last run failed"),
    };
    let message = html! {
        p {
            "Run " (run::link(run.run_id.as_str()))
            @if let Some(ended_at) = run.ended_at { ", ended " (format::time(ended_at, now)) }
            ". "
            @match (outcome, table) {
                (RunOutcome::Failed, Table::Unknown) => "There is no data yet. The next run will retry; if it fails too, fix the cause.",
                _ => (run::failure_advice(outcome, run.report.as_deref())),
            }
        }
        @if let Some(blocked) = run.report.as_deref().and_then(|report| report.blocked_deletions.as_ref()).filter(|blocked| !blocked.is_empty()) {
            p.actions {
                a.button href={ (links::run(&run.run_id)) "#blocked" } {
                    @match blocked.count { 0 => "Review the removals", count => { "Review " (format::counted(count, "removal", "removals")) } }
                }
            }
        }
        @if let Some(error) = run::error(run, dataset) {
            p.wrap data-error { (components::prose(&error)) }
        }
    };
    components::banner(severity, outcome.as_str(), title, &message)
}

#[cfg(test)]
mod tests;
