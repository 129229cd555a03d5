//! The overview: statistics and charts of the rows, age of the data, recent runs and their changes. All data is in memory; the store is not read.

mod alerts;
mod first_steps;
mod recent_changes;
mod sample_source;
mod statistics;
mod trends;

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_core::{calendar::Day, dataset::Dataset, run::RunOutcome, text::capitalized};
use datalake_table::memory::{snapshot::Snapshot, summary::Summary};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self, bar_chart,
        format::{self, counted, number},
        histogram, labels, run,
    },
    overview::trends::Trends,
    page::{context::PageContext, html_page::HtmlPage, lake_status::LakeStatus, layout::View, links, run_permission::RunPermission},
};
use datalake_api::{limits::scan_pool::ScanPool, snapshots::watch::TableState};
use datalake_runs::{launcher::NextRun, run::Run, runs::Runs};

/// The overview as a response to `/`.
#[derive(Debug)]
pub struct Overview {
    context: PageContext,
    next: NextRun,
    rows: Option<Rows>,
}

/// The rows of the latest version.
#[derive(Debug)]
struct Rows {
    snapshot: Arc<Snapshot>,
    summary: Arc<Summary>,
}

/// Scanning this number of rows takes about a millisecond. More rows are scanned by the scan pool, once for each version and day.
const ROWS_INLINE_MAX: usize = 20_000;

impl Rows {
    /// None without a table, and if the process is about to end.
    async fn load(state: &TableState, on: Day, scan_pool: &ScanPool) -> Option<Self> {
        let TableState::Loaded(snapshot) = state else { return None };
        let snapshot = Arc::clone(snapshot);
        if snapshot.len() <= ROWS_INLINE_MAX || snapshot.is_summary_quick(on) {
            let summary = snapshot.summary(on);
            return Some(Self { snapshot, summary });
        }
        let scanned = Arc::clone(&snapshot);
        let summary = scan_pool.scan(move || scanned.summary(on)).await.ok()?;
        Some(Self { snapshot, summary })
    }
}

impl<S> FromRequestParts<S> for Overview
where
    S: Send + Sync,
    PageContext: FromRequestParts<S, Rejection = std::convert::Infallible>,
    Runs: FromRef<S>,
    ScanPool: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let context = PageContext::from_request_parts(parts, state).await?;
        let rows = Rows::load(&context.lake.table.state, Day::of(context.now), &ScanPool::from_ref(state)).await;
        Ok(Self {
            next: Runs::from_ref(state).next_run().await,
            context,
            rows,
        })
    }
}

impl IntoResponse for Overview {
    fn into_response(self) -> Response {
        let Self { context, next, rows } = self;
        let frame = context.frame(View::Overview, "Overview");
        let start_button = run::start_button(context.run_permission, &context.origin);
        HtmlPage(frame.page(&overview(&context, rows.as_ref(), next, &start_button))).into_response()
    }
}

fn overview(context: &PageContext, rows: Option<&Rows>, next: NextRun, start_button: &Markup) -> Markup {
    let PageContext {
        lake,
        now,
        run_permission,
        dataset,
        ..
    } = context;
    let now = *now;
    let trends = Trends::of(&lake.runs);
    let may_start_first_run = matches!(lake.table.state, TableState::Missing) && *run_permission != RunPermission::NotOffered;
    html! {
        (components::heading("Overview", &subtitle(lake, now), start_button))
        (alerts::banners(lake, dataset, context.known_lake(), *run_permission, now))
        @if let Some(rows) = rows { (statistics::markup(rows, &trends, lake, now)) }
        div.columns {
            (recent_runs(&lake.runs, next, may_start_first_run, now))
            @if let Some(rows) = rows { (sources(&lake.runs, rows.snapshot.dataset())) }
        }
        @if let Some(rows) = rows {
            (charts(rows))
            (recent_changes::markup(&lake.runs, rows.snapshot.dataset(), now))
            (trends.markup(rows.snapshot.dataset(), now))
        }
    }
}

/// A chart for each column with a distribution.
fn charts(rows: &Rows) -> Markup {
    let Rows { snapshot, summary } = rows;
    let dataset = snapshot.dataset();
    html! {
        @if !summary.histograms.is_empty() || !summary.categories.is_empty() {
            div.charts {
                @for chart in &summary.histograms { (histogram::card(dataset, chart)) }
                @for chart in &summary.categories { (bar_chart::card(dataset, chart)) }
            }
        }
    }
}

fn subtitle(lake: &LakeStatus, now: Timestamp) -> Markup {
    let version = lake.state().version;
    html! {
        @if let Some(version) = version { "Version " (version) }
        // A reachable store is checked twice a second, so its last check is of interest only if it has failed since.
        @if let (Some(_), Some(_), Some(checked_at)) = (version, lake.table.failing_since, lake.table.checked_at) {
            ", last checked " span #checked { (format::relative_time(checked_at, now)) }
        }
    }
}

fn recent_runs(runs: &[Run], next: NextRun, may_start_first_run: bool, now: Timestamp) -> Markup {
    let active: Vec<&Run> = runs.iter().filter(|run| run.state.is_active()).collect();
    let last = runs.iter().find(|run| !run.state.is_active());
    html! {
        section.card aria-labelledby="runs" {
            header { h2 #runs { "Runs" } a.small href=(links::RUNS_PAGE) { "All runs" } }
            dl.properties {
                @if !active.is_empty() {
                    dt { "Active" }
                    dd #active-runs {
                        @for run in active {
                            div data-active-run=(run.run_id) {
                                (run::badge(run)) " " (run::link(run.run_id.as_str()))
                                @if let Some(started_at) = run.started_at { br; "started " (format::relative_time(started_at, now)) }
                            }
                        }
                    }
                }
                dt { "Last" }
                dd #last-run data-run-id=[last.map(|run| &run.run_id)] {
                    @match last { Some(run) => (last_run(run, now)), None => "No completed runs yet." }
                }
                dt { "Next" }
                dd #next-run {
                    @match next {
                        NextRun::At(at) => (format::time(at, now)),
                        NextRun::Never => "No run is scheduled: the schedule is paused or has ended.",
                        NextRun::Unknown if may_start_first_run => "Within 10 minutes: a lake without a table gets its first run.",
                        NextRun::Unknown => "Unknown: runs are started externally.",
                    }
                }
            }
        }
    }
}

fn last_run(run: &Run, now: Timestamp) -> Markup {
    html! {
        (run::badge(run)) " " (run::link(run.run_id.as_str()))
        br;
        @if let Some(ended_at) = run.ended_at { "ended " (format::time(ended_at, now)) }
        @if let Some(report) = run.report.as_ref().filter(|_| run.state.outcome() == Some(RunOutcome::Succeeded)) {
            br;
            (run::change_summary(&report.counts)) ", in " (format::milliseconds(report.elapsed_ms))
        }
    }
}

/// The sources that the last successful run found. Other runs may not have listed all sources.
fn sources(runs: &[Run], dataset: &Dataset) -> Markup {
    let succeeded = |run: &&Run| run.state.outcome() == Some(RunOutcome::Succeeded);
    let (files, [source, sources]) = (labels::files_in_sentence(dataset), labels::sources_in_sentence(dataset));
    let report = runs.iter().filter(succeeded).find_map(|run| run.report.as_deref());
    html! {
        section.card aria-labelledby="sources" {
            header {
                h2 #sources { "Sources" }
                @if report.is_some() { span.small.muted { "from the last successful run" } }
            }
            @if let Some(report) = report {
                @let counts = &report.counts;
                dl.properties {
                    dt { (capitalized(sources)) } dd { (number(counts.csv_listed)) }
                    @if let Some([_, files]) = &files { dt { (capitalized(files)) } dd { (number(counts.images_listed)) } }
                    dt { "Read by that run" }
                    dd {
                        (counted(counts.csv_read, source, sources))
                        @if let Some([file, files]) = &files { ", " (counted(counts.images_read, file, files)) }
                    }
                    dt { "Normalized" } dd { (number(counts.normalized)) }
                    dt { "Currently rejected" } dd { a href=(links::REJECTS) { (number(counts.rejects_open)) } }
                }
            } @else {
                p.muted { "No run report yet." }
            }
        }
    }
}
