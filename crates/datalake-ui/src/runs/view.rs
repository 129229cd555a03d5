//! Renders the runs page.

use datalake_core::{
    dataset::Dataset,
    run::{RunId, RunOutcome},
};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{milliseconds, number, relative_time, short_day, time, truncate},
        pager::Pager,
        run,
        table::{self, Column, ColumnType},
    },
    page::{links, page_size::PAGE_SIZE, query::Query},
    runs::model::{RunsPage, StateFilter},
};
use datalake_runs::{
    launcher::NextRun,
    run::{Run, RunState, Trigger},
    runs::Completeness,
};

/// How many bytes of an error message the table shows. The run's page shows the whole message.
const ERROR_BYTES_MAX: usize = 300;

const COLUMNS: [Column; 9] = [
    Column::new("Started (UTC)", ColumnType::Title),
    Column::new("State", ColumnType::Badge),
    Column::new("Run", ColumnType::Badge),
    Column::new("Trigger", ColumnType::Text),
    Column::new("Duration", ColumnType::Word),
    Column::new("Added", ColumnType::Change("+")),
    Column::new("Changed", ColumnType::Change("~")),
    Column::new("Removed", ColumnType::Change("−")),
    Column::new("Newly rejected", ColumnType::Change("!")),
];

/// The data of the page.
pub(crate) struct RunsView<'a> {
    /// The declaration of the rows, for their nouns.
    pub(crate) dataset: &'a Dataset,
    pub(crate) page: RunsPage<'a>,
    pub(crate) completeness: Completeness,
    pub(crate) limit: usize,
    pub(crate) state: Option<StateFilter>,
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
            @if self.completeness == Completeness::StoreUnavailable { p.muted #incomplete-runs { (INCOMPLETE) } }
            (self.state_filter())
            @if page.runs.is_empty() {
                section.card.empty #no-runs {
                    @match self.state {
                        Some(_) => p { "No runs in this state." },
                        None if page.before == 0 => p { "No runs yet." },
                        None => p { "No older runs." },
                    }
                }
            } @else {
                section.card aria-label="Runs" { (components::scroll("Runs, latest first", &table(page.runs, self.dataset, self.now))) }
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

    /// A link for each state.
    fn state_filter(&self) -> Markup {
        let link = |state: Option<StateFilter>, label: &str| {
            html! { a.button href=(self.address(state, None)) aria-current=[(self.state == state).then_some("true")] { (label) } }
        };
        html! {
            nav aria-label="States" {
                div.actions.states {
                    (link(None, "All"))
                    @for state in StateFilter::ALL { (link(Some(state), state.label())) }
                }
            }
        }
    }

    /// The address of a page of this list.
    fn address(&self, state: Option<StateFilter>, after: Option<&str>) -> String {
        let limit = (self.limit != PAGE_SIZE).then(|| self.limit.to_string());
        let pairs = [
            state.map(|state| ("state", state.as_str())),
            after.map(|after| ("after", after)),
            limit.as_deref().map(|limit| ("limit", limit)),
        ];
        Query::new(pairs.into_iter().flatten()).address(links::RUNS_PAGE)
    }

    fn pager(&self) -> Pager {
        let RunsPage {
            runs,
            before,
            previous,
            has_more,
        } = self.page;
        let last = runs.last().filter(|_| has_more);
        Pager {
            range: html! { @if !runs.is_empty() { (number(before + 1)) "–" (number(before + runs.len())) ", latest first" } },
            jump: Markup::default(),
            first: (before > 0).then(|| (self.address(self.state, None), "Latest runs")),
            previous: (before > 0).then(|| (self.address(self.state, previous.map(RunId::as_str)), "Newer runs")),
            next: last.map(|last| (self.address(self.state, Some(last.run_id.as_str())), "Older runs")),
        }
    }
}

/// What an unreachable store means for the list. The frame shows that the store is unreachable.
const INCOMPLETE: &str = "Runs may be missing: those that finished while the store was unreachable will appear when it recovers.";

/// Consecutive runs of the same day have a heading in common.
fn table(runs: &[Run], dataset: &Dataset, now: Timestamp) -> Markup {
    let days: Vec<Option<String>> = runs.iter().map(|run| run.started_at.map(short_day)).collect();
    let starts_day = |index: usize| index.checked_sub(1).and_then(|before| days.get(before)) != days.get(index);
    html! {
        table.runs.compact.cards.long #runs {
            caption.visually-hidden { "Runs, latest first" }
            (table::head(&COLUMNS))
            tbody {
                @for (index, run) in runs.iter().enumerate() {
                    @if starts_day(index) {
                        tr.group { th colspan=(COLUMNS.len()) scope="rowgroup" { (days.get(index).and_then(Option::as_deref).unwrap_or("Not started")) } }
                    }
                    (row(run, dataset, now))
                }
            }
        }
    }
}

fn row(run: &Run, dataset: &Dataset, now: Timestamp) -> Markup {
    let [started, state, id, trigger, duration, added, changed, removed, rejected_new] = COLUMNS;
    let counts = run.report.as_ref().map(|report| &report.counts);
    let counts = counts.map(|counts| [counts.added, counts.changed, counts.removed, counts.rejected_new]);
    let is_active = run.state.is_active();
    html! {
        tr data-run-id=(run.run_id) data-active-run=[is_active.then_some(&run.run_id)] {
            (started.cell(&html! {
                a href=(links::run(&run.run_id)) {
                    @match run.started_at {
                        Some(started_at) => (started_at.strftime("%H:%M").to_string()),
                        None => "Not started",
                    }
                }
                @if let Some(started_at) = run.started_at { " " span.muted.small { (relative_time(started_at, now)) } }
            }))
            (state.cell(&run::badge(run)))
            (id.cell(&run::id(run.run_id.as_str())))
            (trigger.cell(&html! {
                span.muted[run.trigger.is_none()] data-trigger=[run.trigger.map(Trigger::as_str)] { (run::trigger(run.trigger)) }
            }))
            (duration.cell(&html! { (run.elapsed_ms().map_or_else(|| "–".to_owned(), milliseconds)) }))
            @for (column, index) in [added, changed, removed, rejected_new].into_iter().zip(0..) {
                (column.count(counts.and_then(|counts| counts.get(index).copied())))
            }
        }
        @if let Some(error) = run::error(run, dataset).filter(|_| !run::is_waiting_for_sources(run)) {
            tr.run-error {
                td colspan=(COLUMNS.len()) {
                    p class={ "small " (error_class(run.state)) } data-error { (components::prose(&truncate(&error, ERROR_BYTES_MAX))) }
                }
            }
        }
    }
}

/// A run that was stopped or blocked by a safety check did not fail.
fn error_class(state: RunState) -> &'static str {
    match state.outcome() {
        Some(RunOutcome::Failed | RunOutcome::Misconfigured) => "error",
        Some(RunOutcome::Succeeded | RunOutcome::Blocked | RunOutcome::Stopped) | None => "muted",
    }
}
