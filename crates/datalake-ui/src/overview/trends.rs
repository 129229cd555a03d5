//! How users, rejected sources and the duration of runs have developed.

use datalake_core::report::{RunOutcome, RunReport};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::components::{
    format::{milliseconds, number},
    line_chart::{self, Point},
};
use datalake_runs::run::Run;

/// Half a day of hourly runs: more points are too close to each other on a third of the page.
const RUNS_MAX: usize = 12;

/// The trends of the last successful runs; nothing if there are fewer than two. The table of recent changes has the same numbers.
pub(super) fn markup(runs: &[Run], now: Timestamp) -> Markup {
    let succeeded = runs.iter().filter(|run| run.state.outcome() == Some(RunOutcome::Succeeded));
    let mut reports: Vec<&RunReport> = succeeded.filter_map(|run| run.report.as_deref()).take(RUNS_MAX).collect();
    reports.reverse();
    let points = |value: fn(&RunReport) -> u64| -> Vec<Point> {
        let point = |report: &&RunReport| Point {
            at: report.ended_at,
            value: value(report),
        };
        reports.iter().map(point).collect()
    };
    html! {
        @if reports.len() > 1 {
            section.card aria-labelledby="trends" {
                header { h2 #trends { "Trends" } span.small.muted { "of the last " (reports.len()) " successful runs, UTC" } }
                div.trends {
                    (line_chart::chart("trend-users", "Users", &points(|report| report.counts.users), number, now))
                    (line_chart::chart("trend-rejects", "Rejected sources", &points(|report| report.counts.rejects_open), number, now))
                    (line_chart::chart("trend-duration", "Duration of runs", &points(|report| report.elapsed_ms), milliseconds, now))
                }
            }
        }
    }
}
