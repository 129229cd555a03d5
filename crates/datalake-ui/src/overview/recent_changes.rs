//! The chart of changes by recent runs on a time axis, with a table of the same numbers.

use datalake_core::{
    dataset::Dataset,
    run::{Counts, RunOutcome},
};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        chart::{self, Axes, Height, Labels},
        format::{counted, milliseconds, number, short_time},
        run,
        time_axis::TimeAxis,
    },
    page::links,
};
use datalake_runs::run::Run;

/// One day of hourly runs.
const RUNS_MAX: usize = 24;

const SERIES: [&str; 4] = ["added", "changed", "removed", "rejected"];

const AXES: Axes<'_> = Axes {
    unit: "Rows changed, sources newly rejected",
    labels: Labels::All,
    // The first import is much larger than what follows.
    height: Height::Capped,
};

/// The columns of the table. `rows` is the title of the rows.
fn columns_of_table(rows: &str) -> [&str; 7] {
    ["Added", "Changed", "Removed", "Newly rejected", rows, "Rejected", "Duration"]
}

/// The changes of the last completed runs.
pub(super) fn markup(runs: &[Run], dataset: &Dataset, now: Timestamp) -> Markup {
    let completed: Vec<&Run> = { runs.iter() }.filter(|run| !run.state.is_active()).take(RUNS_MAX).collect();
    let oldest = completed.iter().filter_map(|run| time_of(run)).min();
    html! {
        section.card aria-labelledby="changes" {
            header { h2 #changes { "Changes by recent runs" } (chart::legend(&SERIES.map(|series| (series, series)))) }
            @match oldest {
                None => p.muted { "No completed runs yet." },
                Some(oldest) => {
                    @let columns = columns(&completed, TimeAxis::covering(oldest, now));
                    (chart::columns(&columns, AXES))
                    p.small.muted {
                        (counted(datalake_core::count::count(completed.len()), "run", "runs"))
                        " since " (short_time(oldest, now)) " UTC"
                        @if columns.iter().flatten().any(|column| column.is_marked) { " · × = did not succeed" }
                    }
                    details #changes-table {
                        summary { "Show as table" }
                        (components::scroll("Table of changes by recent runs", &table(&completed, dataset, now)))
                    }
                    (chart::downloads())
                },
            }
        }
    }
}

fn time_of(run: &Run) -> Option<Timestamp> {
    run.started_at.or(run.ended_at)
}

fn values(counts: &Counts) -> [u64; 4] {
    [counts.added, counts.changed, counts.removed, counts.rejected_new]
}

/// A column for each bucket of the axis with runs. It links to the latest of them.
fn columns(runs: &[&Run], axis: TimeAxis) -> Vec<Option<chart::Column>> {
    let mut buckets: Vec<Vec<&Run>> = vec![Vec::new(); axis.len()];
    for run in runs {
        if let Some(bucket) = time_of(run)
            .and_then(|at| axis.bucket_of(at))
            .and_then(|bucket| buckets.get_mut(bucket))
        {
            bucket.push(run);
        }
    }
    let column = |(index, runs): (usize, &Vec<&Run>)| {
        let label = axis.label(index);
        match runs.as_slice() {
            [] if label.is_empty() => None,
            [] => Some(chart::Column::label_only(label)),
            [latest, ..] => Some(column(latest, runs, &axis.title(index), label)),
        }
    };
    buckets.iter().enumerate().map(column).collect()
}

fn column(latest: &Run, runs: &[&Run], start: &str, label: String) -> chart::Column {
    let mut total = [0_u64; 4];
    for report in runs.iter().filter_map(|run| run.report.as_deref()) {
        for (sum, value) in total.iter_mut().zip(values(&report.counts)) {
            *sum += value;
        }
    }
    let [added, changed, removed, rejected_new] = total;
    let failed = runs.iter().filter(|run| has_failed(run)).count();
    let mut parts = vec![run::change_summary(&Counts {
        added,
        changed,
        removed,
        rejected_new,
        ..Counts::default()
    })];
    if failed > 0 {
        parts.push(format!("{failed} did not succeed"));
    }
    let title = match runs {
        [run] => format!(
            "{} UTC: {}",
            start,
            if has_failed(run) {
                run::state_label(run.state).to_owned()
            } else {
                parts.join(", ")
            }
        ),
        _ => format!("From {start} UTC, {} runs: {}", runs.len(), parts.join(", ")),
    };
    chart::Column {
        href: links::run(&latest.run_id),
        title,
        label,
        series: SERIES.into_iter().zip(total).collect(),
        is_marked: failed > 0,
    }
}

/// An empty lake that waits for its first sources is no failure.
fn has_failed(run: &Run) -> bool {
    run.state.outcome() != Some(RunOutcome::Succeeded) && !run::is_waiting_for_sources(run)
}

/// A plain table: the classes and labels of cards would double its size.
fn table(runs: &[&Run], dataset: &Dataset, now: Timestamp) -> Markup {
    html! {
        table.compact.numbers {
            caption.visually-hidden { "Changes by recent runs, latest first" }
            thead { tr { th scope="col" { "Started" } th scope="col" { "State" } @for column in columns_of_table(dataset.title()) { th scope="col" { (column) } } } }
            tbody {
                @for run in runs {
                    @let report = run.report.as_deref();
                    @let complete = report.filter(|report| report.outcome == RunOutcome::Succeeded);
                    tr {
                        th scope="row" {
                            a href=(links::run(&run.run_id)) { (time_of(run).map_or_else(|| "unknown".to_owned(), |at| short_time(at, now))) }
                        }
                        td { (run::badge(run)) }
                        @match report {
                            Some(report) => { @for value in values(&report.counts) { td { (number(value)) } } },
                            None => { @for _ in SERIES { td { "–" } } },
                        }
                        td { (complete.map_or_else(|| "–".to_owned(), |report| number(report.counts.users))) }
                        td { (complete.map_or_else(|| "–".to_owned(), |report| number(report.counts.rejects_open))) }
                        td { (run.elapsed_ms().map_or_else(|| "–".to_owned(), milliseconds)) }
                    }
                }
            }
        }
    }
}
