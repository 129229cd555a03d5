//! The runs that are known, however they were started.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::report::RunOutcome;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    launcher::{NextRun, Run, RunState, Trigger},
    pages::{
        layout::View,
        parts::{self, Tone},
        policy::Page,
        visit::Visit,
    },
    routes::runs::Limit,
    run_history::{Completeness, RUNS_MAX, RunHistory},
};

/// The newest runs.
pub(super) async fn show(visit: Visit, Limit(limit): Limit, State(history): State<RunHistory>) -> Response {
    let (runs, completeness) = history.newest_by(limit, visit.deadline()).await;
    let frame = visit.frame(View::Runs, "Runs");
    let start = parts::start_run(visit.starting, &visit.origin);
    let next = history.next_run().await;
    let main = list(&runs, completeness, limit, &start, next, visit.now);
    Page(frame.page(&main)).into_response()
}

fn list(runs: &[Run], completeness: Completeness, limit: usize, start: &Markup, next: NextRun, now: Timestamp) -> Markup {
    let line = html! {
        "Each brings the table in line with the sources, by reading what changed. "
        span #next-run {
            @match next {
                NextRun::At(at) => { "The next one is due at " (parts::time(at, now)) "." },
                NextRun::Never => "None is due by itself: the schedule is paused or over.",
                NextRun::Unknown => "When the next one is due is not known here: something else starts them.",
            }
        }
    };
    let has_more = runs.len() == limit && limit < RUNS_MAX;
    html! {
        (parts::heading("Runs", &line, start))
        @if completeness == Completeness::StoreUnavailable { (store_down()) }
        @if runs.is_empty() {
            section.card.empty #no-runs { p { "No run is known here yet." } }
        } @else {
            section.card aria-label="Runs" {
                (parts::scroll("Runs, the newest first", &table(runs, now)))
                @if has_more {
                    p { a href={ "/page/runs?limit=" (RUNS_MAX) } { "Older runs, up to " (parts::number(RUNS_MAX)) } }
                }
            }
        }
    }
}

fn store_down() -> Markup {
    let words = html! {
        p {
            "These are the runs whose reports were read before, and those that this server knows by itself. Others that ended since are \
             missing, and come back with the store."
        }
    };
    parts::banner(Tone::Warn, "store-down", "The store does not answer", &words)
}

fn table(runs: &[Run], now: Timestamp) -> Markup {
    html! {
        table.runs #runs {
            caption.visually-hidden { "Runs, the newest first" }
            thead {
                tr {
                    th scope="col" { "Run" }
                    th scope="col" { "State" }
                    th scope="col" { "Started" }
                    th scope="col" { "By" }
                    th.number scope="col" { "Took" }
                    th.number scope="col" { "Added" }
                    th.number scope="col" { "Changed" }
                    th.number scope="col" { "Removed" }
                    th.number scope="col" { "Rejected" }
                }
            }
            tbody {
                @for run in runs { (row(run, now)) }
            }
        }
    }
}

/// Columns of the table: a run's words stand below its figures, in all of them.
const COLUMNS: usize = 9;

fn row(run: &Run, now: Timestamp) -> Markup {
    let counts = run.report.as_ref().map(|report| &report.counts);
    let figures = counts.map(|counts| [counts.added, counts.changed, counts.removed, counts.rejected]);
    let is_active = run.state.is_active();
    html! {
        tr data-run-id=(run.run_id) data-active-run=[is_active.then_some(&run.run_id)] {
            th.wrap.id scope="row" {
                a href={ "/page/runs/" (run.run_id) } { (run.run_id) }
            }
            td { (parts::run_badge(run.state)) }
            td {
                @match run.started_at {
                    Some(started_at) => (parts::time(started_at, now)),
                    None => span.muted { "not yet" },
                }
            }
            td.by data-trigger=[run.trigger.map(Trigger::as_str)] { (trigger(run.trigger)) }
            td.number { (elapsed(run).map_or_else(|| "–".to_owned(), parts::milliseconds)) }
            @match figures {
                Some(figures) => { @for figure in figures { td.number { (parts::number(figure)) } } },
                None => { @for _ in 0..4 { td.number.muted { "–" } } },
            }
        }
        @if let Some(error) = &run.error {
            tr.why { td colspan=(COLUMNS) { p class={ "small " (tone(run.state)) } data-error { (parts::prose(error)) } } }
        }
    }
}

/// Whoever stops a run, or a guard that refuses one, is no failure.
fn tone(state: RunState) -> &'static str {
    match state.outcome() {
        Some(RunOutcome::Failed | RunOutcome::Misconfigured) => "bad",
        Some(RunOutcome::Succeeded | RunOutcome::Refused | RunOutcome::Stopped) | None => "muted",
    }
}

/// What made a run begin, in words.
pub(super) fn trigger(trigger: Option<Trigger>) -> Markup {
    html! {
        @match trigger {
            Some(Trigger::Posted) => "a request",
            Some(Trigger::Schedule) => "the schedule",
            Some(Trigger::FirstRun) => "this server, as there was no table",
            Some(Trigger::Kubectl) => "kubectl",
            None => span.muted { "not recorded" },
        }
    }
}

/// How long a run took, by a monotonic clock where it told; none while it is active.
pub(super) fn elapsed(run: &Run) -> Option<u64> {
    let told = run.report.as_ref().map(|report| report.elapsed_ms);
    let by_times = || u64::try_from(run.ended_at?.duration_since(run.started_at?).as_millis()).ok();
    told.or_else(by_times)
}
