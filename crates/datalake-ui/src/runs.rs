//! The runs that are known, however they were started, page by page.

use axum::{
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_core::report::{RunId, RunOutcome};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{self, Tone},
    page::{api_address::ApiAddress, context::PageContext, csp::Page, layout::View},
    users::form_query,
};
use datalake_api::{problem::Problem, request::query_string::QueryString, routes::run_redaction};
use datalake_runs::{
    launcher::NextRun,
    run::{Run, RunState, Trigger},
    runs::{Completeness, RUNS_MAX, RunHistory},
};

/// Runs on one page: a day of hourly ones, and some 20 KB of it.
const PAGE_MAX: usize = 25;

/// Bytes of the words of a run that did not succeed: its own page has all of them.
const ERROR_BYTES_SHOWN: usize = 300;

/// Which runs are asked for.
pub(crate) struct Asked {
    limit: usize,
    /// The run behind which the page begins; none is before the newest.
    after: Option<RunId>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&["limit", "after"])?;
        let after = pairs.get("after").map(|after| RunId::parse(after).map_err(|_| Problem::NoSuchRun));
        Ok(Self {
            limit: pairs.limit(PAGE_MAX, PAGE_MAX, ON_THIS_PAGE)?,
            after: after.transpose()?,
        })
    }
}

/// What follows the bound of a page's lines.
pub(crate) const ON_THIS_PAGE: &str = " on this page; the API gives up to 1000 at a time";

/// The runs of a page, and what leads to the next one.
#[derive(Debug, PartialEq, Eq)]
struct Shown<'a> {
    runs: &'a [Run],
    /// How many are newer.
    before: usize,
    has_more: bool,
}

/// `runs` are the newest, the newest first. None where the run that the page begins behind is not one of them.
fn shown<'a>(runs: &'a [Run], asked: &Asked) -> Option<Shown<'a>> {
    let before = match &asked.after {
        Some(after) => runs.iter().position(|run| run.run_id == *after)? + 1,
        None => 0,
    };
    let rest = runs.get(before..).unwrap_or_default();
    Some(Shown {
        runs: rest.get(..asked.limit).unwrap_or(rest),
        before,
        has_more: rest.len() > asked.limit,
    })
}

/// The newest runs, or those behind one of them.
pub(crate) async fn show(visit: PageContext, asked: Asked, State(history): State<RunHistory>) -> Result<Response, Problem> {
    // One more than are shown tells whether there is another page.
    let read = if asked.after.is_some() { RUNS_MAX } else { asked.limit + 1 };
    let (runs, completeness) = history.newest_by(read, visit.deadline()).await;
    let runs: Vec<_> = runs.into_iter().map(|run| run_redaction::for_caller(run, visit.caller)).collect();
    let shown = shown(&runs, &asked).ok_or(Problem::NoSuchRun)?;
    // The API begins with the newest one.
    let api = ApiAddress::new(format!("/runs?limit={}", shown.before + asked.limit));
    let frame = visit.frame(View::Runs, "Runs").api(api);
    let start = components::start_run(visit.starting, &visit.origin);
    let next = history.next_run().await;
    let main = list(&shown, completeness, asked.limit, &start, next, visit.now);
    Ok(Page(frame.page(&main)).into_response())
}

fn list(shown: &Shown<'_>, completeness: Completeness, limit: usize, start: &Markup, next: NextRun, now: Timestamp) -> Markup {
    let line = html! {
        "Each brings the table in line with the sources, by reading what changed. "
        span #next-run {
            @match next {
                NextRun::At(at) => { "The next one is due at " (components::time(at, now)) "." },
                NextRun::Never => "None is due by itself: the schedule is paused or over.",
                NextRun::Unknown => "When the next one is due is not known here: something else starts them.",
            }
        }
    };
    html! {
        (components::heading("Runs", &line, start))
        @if completeness == Completeness::StoreUnavailable { (store_down()) }
        @if shown.runs.is_empty() {
            section.card.empty #no-runs {
                p { @if shown.before == 0 { "No run is known here yet." } @else { "No older run is known here." } }
            }
        } @else {
            section.card aria-label="Runs" { (components::scroll("Runs, the newest first", &table(shown.runs, now))) }
        }
        (pager(shown, limit))
    }
}

fn pager(shown: &Shown<'_>, limit: usize) -> Markup {
    let asked = if limit == PAGE_MAX {
        String::new()
    } else {
        format!("limit={limit}")
    };
    let last = shown.runs.last().filter(|_| shown.has_more);
    let (before, separator) = (shown.before, if asked.is_empty() { "" } else { "&" });
    html! {
        @if before > 0 || last.is_some() {
            nav.pager aria-label="Pages" {
                span { @if !shown.runs.is_empty() { (components::number(before + 1)) " to " (components::number(before + shown.runs.len())) ", the newest first" } }
                span.actions {
                    @if before > 0 { a.button #first-page href={ "/page/runs" @if !asked.is_empty() { "?" (asked) } } { "Newest" } }
                    @if let Some(last) = last {
                        a.button #next-page rel="next" href={ "/page/runs?" (asked) (separator) "after=" (form_query::segment(last.run_id.as_str())) } { "Older runs" }
                    }
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
    components::banner(Tone::Warn, "store-down", "The store does not answer", &words)
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
            td { (components::run_badge(run.state)) }
            td {
                @match run.started_at {
                    Some(started_at) => (components::time(started_at, now)),
                    None => span.muted { "not yet" },
                }
            }
            td.by data-trigger=[run.trigger.map(Trigger::as_str)] { (trigger(run.trigger)) }
            td.number { (elapsed(run).map_or_else(|| "–".to_owned(), components::milliseconds)) }
            @match figures {
                Some(figures) => { @for figure in figures { td.number { (components::number(figure)) } } },
                None => { @for _ in 0..4 { td.number.muted { "–" } } },
            }
        }
        @if let Some(error) = &run.error {
            tr.why { td colspan=(COLUMNS) { p class={ "small " (tone(run.state)) } data-error { (components::prose(&components::beginning(error, ERROR_BYTES_SHOWN))) } } }
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
pub(crate) fn trigger(trigger: Option<Trigger>) -> Markup {
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
pub(crate) fn elapsed(run: &Run) -> Option<u64> {
    let told = run.report.as_ref().map(|report| report.elapsed_ms);
    let by_times = || u64::try_from(run.ended_at?.duration_since(run.started_at?).as_millis()).ok();
    told.or_else(by_times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: usize) -> Run {
        Run {
            run_id: RunId::parse(&format!("run-{number}")).unwrap(),
            state: RunState::Pending,
            mode: None,
            parameters: None,
            trigger: None,
            started_at: None,
            ended_at: None,
            error: None,
            log_tail: None,
            report: None,
        }
    }

    /// Of sixty runs, the newest of which is `run-59`: the first that is shown, how many are newer, how many are shown, and whether there are
    /// more.
    #[track_caller]
    fn check(limit: usize, after: Option<&str>, expected: Option<(&str, usize, usize, bool)>) {
        let runs: Vec<_> = (0..60).rev().map(run).collect();
        let after = after.map(|after| RunId::parse(after).unwrap());
        let shown = shown(&runs, &Asked { limit, after });
        let found = shown.as_ref().map(|shown| {
            let first = shown.runs.first().map_or("", |run| run.run_id.as_str());
            (first, shown.before, shown.runs.len(), shown.has_more)
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn pages() {
        check(25, None, Some(("run-59", 0, 25, true)));
        check(60, None, Some(("run-59", 0, 60, false)));
        check(25, Some("run-35"), Some(("run-34", 25, 25, true)));
        check(25, Some("run-25"), Some(("run-24", 35, 25, false)));
        check(25, Some("run-0"), Some(("", 60, 0, false)));
        check(25, Some("gone"), None);
    }
}
