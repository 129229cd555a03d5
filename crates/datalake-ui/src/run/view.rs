//! Renders the page of a run.

use datalake_core::run::{RunMode, RunOutcome, RunReport};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self, Severity,
        blocked_removals::BlockedRemovals,
        format::{counted, milliseconds, number, relative_time, time},
        log_line, phases, run,
    },
    diff::table,
    page::links,
    run::{
        issues,
        model::{RunChanges, RunPage},
        report,
    },
};
use datalake_runs::run::{Run, RunState};

pub(crate) fn markup(page: &RunPage<'_>) -> Markup {
    let RunPage {
        run,
        changes,
        permission,
        origin,
        now,
        ..
    } = *page;
    let stop_button = run::stop_button(run, permission, origin);
    let blocked = run
        .report
        .as_deref()
        .and_then(|report| Some((report, report.blocked_deletions.as_ref()?)));
    let subtitle = html! {
        (run::badge(run)) " " (run::id(run.run_id.as_str())) " · "
        @if let Some(mode) = run.mode { (mode_label(mode)) " · " }
        @if run.trigger.is_some() { "triggered by " (run::trigger(run.trigger)) } @else { "trigger unknown" }
    };
    html! {
        (components::heading(page.title, &subtitle, &stop_button))
        @if run::is_waiting_for_sources(run) {
            (waiting_banner())
        } @else if let Some(error) = run::error(run, page.dataset) {
            (error_banner(run.state, &error, run.report.as_deref()))
        }
        @if let Some((report, blocked)) = blocked.filter(|(_, blocked)| !blocked.is_empty()) {
            @let removals = BlockedRemovals {
                dataset: page.dataset,
                run_id: &run.run_id,
                report,
                blocked,
                latest: page.latest,
                succeeded: page.succeeded,
                lake: page.lake,
                permission,
                origin,
            };
            (removals.card())
        }
        @if run.state.is_active() { (progress(run, now)) }
        @if let Some(report) = &run.report { (report::statistics(report, page.dataset)) }
        @if !run.state.is_active() { (details(run, now)) }
        @if let Some(report) = &run.report {
            (changes_card(changes))
            (issues::card(report, page.dataset, page.recorded))
            (report::counts(report, page.dataset))
        }
        @if let Some(text) = &run.log_tail {
            section.card aria-labelledby="log" {
                header { h2 #log { "Log (last lines)" } }
                pre.log #log-tail tabindex="0" { @for line in text.lines() { (log_line::line(line)) "\n" } }
            }
        }
    }
}

fn mode_label(mode: RunMode) -> &'static str {
    match mode {
        RunMode::Incremental => "Incremental",
        RunMode::Full => "Full",
    }
}

/// An empty lake is no failure.
fn waiting_banner() -> Markup {
    let message = html! { p #run-error { "The lake has no sources yet. A run creates the table after the first upload." } };
    components::banner(Severity::Info, "waiting", "Waiting for sources", &message)
}

fn error_banner(state: RunState, error: &str, report: Option<&RunReport>) -> Markup {
    let (severity, title) = match state.outcome() {
        None => (Severity::Info, "Waiting for"),
        Some(RunOutcome::Blocked) => (Severity::Warning, "Blocked by a safety check"),
        Some(RunOutcome::Misconfigured) => (Severity::Error, run::state_label(state)),
        Some(RunOutcome::Stopped) => (Severity::Info, run::state_label(state)),
        Some(RunOutcome::Succeeded | RunOutcome::Failed) => (Severity::Error, run::state_label(RunState::Ended(RunOutcome::Failed))),
    };
    let message = html! {
        p.wrap #run-error { (components::prose(error)) }
        @if let Some(outcome) = state.outcome() { p { (run::failure_advice(outcome, report)) } }
    };
    components::banner(severity, "run-error", title, &message)
}

/// The card of an active run, which has no report yet.
fn progress(run: &Run, now: Timestamp) -> Markup {
    html! {
        section.card #progress aria-labelledby="progress-title" data-follow=(run.run_id) data-active-run=(run.run_id) data-state=(run.state.as_str()) {
            header {
                h2 #progress-title { (run::state_label(run.state)) }
                @if let Some(started_at) = run.started_at { span.small.muted { "started " (relative_time(started_at, now)) } }
            }
            (phases::bar(run.progress))
            (phases::list(run.progress))
            p.small.muted { "Results appear when the run finishes. Until then readers see the previous version." }
        }
    }
}

fn details(run: &Run, now: Timestamp) -> Markup {
    let report = run.report.as_deref();
    let time = |at: Option<Timestamp>| html! { @match at { Some(at) => (time(at, now)), None => span.muted { "unknown" } } };
    html! {
        section.card aria-labelledby="details" {
            h2 #details { "Details" }
            dl.properties {
                dt { "ID" } dd { code.run-id.wrap data-copy=(run.run_id) title="Click to copy" { (run.run_id) } }
                dt { "Started" } dd { (time(run.started_at)) }
                dt { "Ended" } dd { (time(run.ended_at)) }
                @if let Some(elapsed_ms) = run.elapsed_ms().filter(|_| report.is_none()) { dt { "Duration" } dd { (milliseconds(elapsed_ms)) } }
                @if let Some(version) = report.and_then(|report| report.version) {
                    dt { "Version" }
                    dd {
                        a href=(links::rows_at_version(version)) { (version) }
                        @if report.is_some_and(|report| report.committed == Some(true)) { ", created by this run" } @else { ", unchanged" }
                    }
                }
                @if let Some(skew) = report.and_then(|report| report.clock_skew_seconds) {
                    dt { "Clocks" }
                    dd {
                        "The store clock is " (number(skew.unsigned_abs())) " s " @if skew > 0 { "ahead of" } @else { "behind" }
                        " this machine's. Synchronize the clocks (NTP)."
                    }
                }
                @if report.is_none() { dt { "Report" } dd.muted { "none" } }
            }
        }
    }
}

fn changes_card(changes: &RunChanges) -> Markup {
    html! {
        section.card aria-labelledby="changes" {
            header {
                h2 #changes { "Changes" }
                @if let RunChanges::Between { since, until, .. } | RunChanges::OtherColumns { since, until, .. } = changes {
                    a.small href=(links::changes(*since, *until)) { "Version " (since) " to " (until) }
                }
            }
            div #run-changes {
                @match changes {
                    RunChanges::None => p.muted data-changes="none" { "No changes: this run did not create a new version." },
                    RunChanges::FirstVersion { rows } => p data-changes="first-version" {
                        "First version: " a href=(links::rows_at_version(0)) { (counted(datalake_core::count::count(*rows), "row", "rows")) } " added."
                    },
                    RunChanges::Between { since, until, changes } => { div data-changes="between" { (table::table(changes, *since, *until)) } },
                    RunChanges::OtherColumns { columns, .. } => { div data-changes="other-columns" { (columns.markup()) } },
                    RunChanges::Expired => p.muted data-changes="expired" {
                        "Row-level changes are kept for one week after a version is replaced, so they are no longer available. The totals above remain."
                    },
                    RunChanges::Loading => p.muted data-changes="loading" { "Loading these versions from the store. Reload in a moment." },
                }
            }
        }
    }
}
