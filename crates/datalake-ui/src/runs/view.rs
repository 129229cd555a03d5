//! Renders the runs page.

use datalake_core::report::RunOutcome;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self, Severity,
        format::{milliseconds, number, time, truncate},
        pager::Pager,
        run,
    },
    page::{links, page_size::limit_parameter},
    runs::model::RunsPage,
};
use datalake_runs::{
    launcher::NextRun,
    run::{Run, RunState, Trigger},
    runs::Completeness,
};

/// How many bytes of an error message the table shows. The run's page shows the whole message.
const ERROR_BYTES_MAX: usize = 300;

/// The columns of the table, for the cell with the error message.
const COLUMNS: usize = 9;

/// The data of the page.
pub(crate) struct RunsView<'a> {
    pub(crate) page: RunsPage<'a>,
    pub(crate) completeness: Completeness,
    pub(crate) limit: usize,
    pub(crate) start_button: &'a Markup,
    pub(crate) next: NextRun,
    pub(crate) now: Timestamp,
}

impl RunsView<'_> {
    pub(crate) fn markup(&self) -> Markup {
        let page = &self.page;
        let pager = self.pager();
        html! {
            (components::heading("Runs", &self.subtitle(), self.start_button))
            @if self.completeness == Completeness::StoreUnavailable { (store_unreachable_banner()) }
            @if page.runs.is_empty() {
                section.card.empty #no-runs {
                    p { @if page.before == 0 { "No runs yet." } @else { "No older runs." } }
                }
            } @else {
                section.card aria-label="Runs" { (components::scroll("Runs, latest first", &table(page.runs, self.now))) }
            }
            @if pager.has_links() { (pager.markup()) }
        }
    }

    fn subtitle(&self) -> Markup {
        html! {
            "A run reads changed sources and publishes a new version of the table. "
            span #next-run {
                @match self.next {
                    NextRun::At(at) => { "Next run: " (time(at, self.now)) "." },
                    NextRun::Never => "No run is scheduled: the schedule is paused or has ended.",
                    NextRun::Unknown => "Next run unknown: runs are started externally.",
                }
            }
        }
    }

    fn pager(&self) -> Pager {
        let RunsPage { runs, before, has_more } = self.page;
        let last = runs.last().filter(|_| has_more);
        Pager {
            range: html! { @if !runs.is_empty() { (number(before + 1)) "–" (number(before + runs.len())) ", latest first" } },
            first: (before > 0).then(|| (format!("{}{}", links::RUNS_PAGE, limit_parameter('?', self.limit)), "Latest runs")),
            next: last.map(|last| {
                let after = links::encode_segment(last.run_id.as_str());
                (
                    format!("{}?after={after}{}", links::RUNS_PAGE, limit_parameter('&', self.limit)),
                    "Older runs",
                )
            }),
        }
    }
}

fn store_unreachable_banner() -> Markup {
    let message = html! {
        p { "Showing runs known to this server. Runs that finished while the store was unreachable will appear when it recovers." }
    };
    components::banner(Severity::Warning, "store-unreachable", "The store is unreachable", &message)
}

fn table(runs: &[Run], now: Timestamp) -> Markup {
    html! {
        table.runs #runs {
            caption.visually-hidden { "Runs, latest first" }
            thead {
                tr {
                    th scope="col" { "Run" }
                    th scope="col" { "State" }
                    th scope="col" { "Started" }
                    th scope="col" { "Trigger" }
                    th.number scope="col" { "Duration" }
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

fn row(run: &Run, now: Timestamp) -> Markup {
    let counts = run.report.as_ref().map(|report| &report.counts);
    let counts = counts.map(|counts| [counts.added, counts.changed, counts.removed, counts.rejected]);
    let is_active = run.state.is_active();
    html! {
        tr data-run-id=(run.run_id) data-active-run=[is_active.then_some(&run.run_id)] {
            th.wrap.id scope="row" {
                a href=(links::run(&run.run_id)) { (run.run_id) }
            }
            td { (run::badge(run.state)) }
            td {
                @match run.started_at {
                    Some(started_at) => (time(started_at, now)),
                    None => span.muted { "not yet" },
                }
            }
            td.trigger.muted[run.trigger.is_none()] data-trigger=[run.trigger.map(Trigger::as_str)] { (run::trigger(run.trigger)) }
            td.number { (run::elapsed_ms(run).map_or_else(|| "–".to_owned(), milliseconds)) }
            @match counts {
                Some(counts) => { @for count in counts { td.number { (number(count)) } } },
                None => { @for _ in 0..4 { td.number.muted { "–" } } },
            }
        }
        @if let Some(error) = &run.error {
            tr.run-error {
                td colspan=(COLUMNS) {
                    p class={ "small " (error_class(run.state)) } data-error { (components::prose(&truncate(error, ERROR_BYTES_MAX))) }
                }
            }
        }
    }
}

/// A run that was stopped or blocked by a safety check did not fail.
fn error_class(state: RunState) -> &'static str {
    match state.outcome() {
        Some(RunOutcome::Failed | RunOutcome::Misconfigured) => "error",
        Some(RunOutcome::Succeeded | RunOutcome::Refused | RunOutcome::Stopped) | None => "muted",
    }
}
