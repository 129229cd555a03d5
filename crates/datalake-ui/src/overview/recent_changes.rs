//! The chart of changes by recent runs, with a table of the same numbers.

use datalake_core::report::{Counts, RunOutcome};
use maud::{Markup, html};

use crate::{
    components::{
        self,
        chart::{self, Column},
        format::{self, counted, number},
        run,
    },
    page::links,
};
use datalake_runs::run::Run;

/// One day of hourly runs.
const RUNS_MAX: usize = 24;

const SERIES: [&str; 4] = ["added", "changed", "removed", "rejected"];

/// The changes of the last completed runs; the latest is on the right.
pub(crate) fn markup(runs: &[Run]) -> Markup {
    let completed: Vec<&Run> = { runs.iter() }.filter(|run| !run.state.is_active()).take(RUNS_MAX).collect();
    let columns: Vec<Column> = completed.iter().rev().map(|run| column(run)).collect();
    let has_failed = columns.iter().any(|column| column.is_marked);
    let count = columns.len();
    // With few runs, columns start on the right and keep their width.
    let empty = std::iter::repeat_n(None, RUNS_MAX - count);
    let columns: Vec<Option<Column>> = empty.chain(columns.into_iter().map(Some)).collect();
    let oldest = completed.last().and_then(|run| run.started_at.or(run.ended_at));
    html! {
        section.card aria-labelledby="changes" {
            header { h2 #changes { "Changes by recent runs" } (chart::legend(&SERIES.map(|series| (series, series)))) }
            @if count == 0 {
                p.muted { "No completed runs yet." }
            } @else {
                (chart::columns(&columns))
                p.small.muted {
                    "Last " (counted(datalake_core::count::count(count), "run", "runs")) " (oldest → latest)"
                    @if let Some(oldest) = oldest { ", since " (format::absolute_time(oldest)) }
                    @if has_failed { " · × = did not succeed" }
                }
                details #changes-table {
                    summary { "Show as table" }
                    (components::scroll("Table of changes by recent runs", &table(&completed)))
                }
            }
        }
    }
}

fn values(counts: &Counts) -> [u64; 4] {
    [counts.added, counts.changed, counts.removed, counts.rejected]
}

fn column(run: &Run) -> Column {
    let counts = run.report.as_ref().map(|report| &report.counts);
    let has_succeeded = run.state.outcome() == Some(RunOutcome::Succeeded);
    let summary = match (counts, has_succeeded) {
        (Some(counts), true) => run::change_summary(counts),
        _ => run.state.as_str().to_owned(),
    };
    let started = run
        .started_at
        .map_or_else(String::new, |at| format!(", {} UTC", at.strftime("%Y-%m-%d %H:%M")));
    Column {
        href: links::run(&run.run_id),
        title: format!("Run {}{started}: {summary}", run.run_id),
        label: run.started_at.map_or_else(String::new, |at| at.strftime("%H:%M").to_string()),
        series: SERIES.into_iter().zip(counts.map_or([0; 4], values)).collect(),
        is_marked: !has_succeeded,
    }
}

fn table(runs: &[&Run]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "Changes by recent runs, latest first" }
            thead {
                tr {
                    th scope="col" { "Run" }
                    th scope="col" { "State" }
                    @for series in SERIES { th.number scope="col" { (format::capitalize(series)) } }
                }
            }
            tbody {
                @for run in runs {
                    tr {
                        th scope="row" { (run::link(run.run_id.as_str())) }
                        td { (run::badge(run.state)) }
                        @match run.report.as_ref().map(|report| values(&report.counts)) {
                            Some(values) => { @for value in values { td.number { (number(value)) } } },
                            None => { @for _ in SERIES { td.number { "–" } } },
                        }
                    }
                }
            }
        }
    }
}
