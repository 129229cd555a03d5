//! How the number of rows, rejected sources and the duration of runs have developed.

use datalake_core::{
    dataset::Dataset,
    run::{RunOutcome, RunReport},
};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::components::{
    format::{counted, milliseconds, number},
    line_chart::{self, Point},
};
use datalake_runs::run::Run;

/// Half a day of hourly runs: more points are too close to each other on a third of the page.
const RUNS_MAX: usize = 12;

/// A version is created only by a run that changes something, so that as many points cover a longer time.
const VERSIONS_MAX: usize = 12;

/// The values over time, in ascending order of time.
pub(super) struct Trends {
    /// The number of rows of each version.
    rows: Vec<Point>,
    rejected: Vec<Point>,
    elapsed_ms: Vec<Point>,
}

impl Trends {
    /// The trends of the runs in memory, which are the latest first.
    pub(super) fn of(runs: &[Run]) -> Self {
        let succeeded = runs.iter().filter(|run| run.state.outcome() == Some(RunOutcome::Succeeded));
        let reports: Vec<&RunReport> = succeeded.filter_map(|run| run.report.as_deref()).collect();
        let points = |count: usize, is_shown: fn(&RunReport) -> bool, value: fn(&RunReport) -> u64| {
            let shown = reports.iter().filter(|report| is_shown(report)).take(count);
            let mut points: Vec<Point> = shown
                .map(|report| Point {
                    at: report.ended_at,
                    value: value(report),
                })
                .collect();
            points.reverse();
            points
        };
        Self {
            rows: points(VERSIONS_MAX, |report| report.committed == Some(true), |report| report.counts.users),
            rejected: points(RUNS_MAX, |_| true, |report| report.counts.rejects_open),
            elapsed_ms: points(RUNS_MAX, |_| true, |report| report.elapsed_ms),
        }
    }

    /// A small line below the number of rows.
    pub(super) fn rows_sparkline(&self, dataset: &Dataset) -> Markup {
        line_chart::sparkline(&by_version(dataset), &self.rows)
    }

    /// A small line below the number of rejected sources.
    pub(super) fn rejects_sparkline(&self) -> Markup {
        line_chart::sparkline("Rejected sources by run", &self.rejected)
    }

    /// The charts; nothing if there are fewer than two runs. The table of recent changes has the same numbers.
    pub(super) fn markup(&self, dataset: &Dataset, now: Timestamp) -> Markup {
        let runs = datalake_core::count::count(self.elapsed_ms.len());
        let versions = datalake_core::count::count(self.rows.len());
        html! {
            @if runs > 1 {
                section.card aria-labelledby="trends" {
                    header {
                        h2 #trends { "Trends" }
                        span.small.muted { "of " (counted(versions, "version", "versions")) " and " (runs) " successful runs, UTC" }
                    }
                    div.trends {
                        (line_chart::chart("trend-users", &by_version(dataset), &self.rows, number, now))
                        (line_chart::chart("trend-rejects", "Rejected sources", &self.rejected, number, now))
                        (line_chart::chart("trend-duration", "Duration of runs", &self.elapsed_ms, milliseconds, now))
                    }
                }
            }
        }
    }
}

fn by_version(dataset: &Dataset) -> String {
    format!("{} by version", dataset.title())
}
