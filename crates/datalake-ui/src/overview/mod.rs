//! The overview: users, age of the data, recent runs and their changes. All data is in memory; the store is not read.

mod alerts;
mod first_steps;
mod recent_changes;
mod statistics;
mod trends;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_core::{run::RunOutcome, user::Day};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self, age_histogram,
        format::{self, counted, number},
        run,
    },
    declared,
    overview::{statistics::LakeStatistics, trends::Trends},
    page::{context::PageContext, html_page::HtmlPage, lake_status::LakeStatus, layout::View, links},
};
use datalake_api::snapshots::watch::TableState;
use datalake_runs::{launcher::NextRun, run::Run, runs::Runs};

/// The overview as a response to `/`.
#[derive(Debug)]
pub struct Overview {
    context: PageContext,
    next: NextRun,
}

impl<S> FromRequestParts<S> for Overview
where
    S: Send + Sync,
    PageContext: FromRequestParts<S, Rejection = std::convert::Infallible>,
    Runs: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            context: PageContext::from_request_parts(parts, state).await?,
            next: Runs::from_ref(state).next_run().await,
        })
    }
}

impl IntoResponse for Overview {
    fn into_response(self) -> Response {
        let Self { context, next } = self;
        let frame = context.frame(View::Overview, "Overview");
        let start_button = run::start_button(context.run_permission, &context.origin);
        HtmlPage(frame.page(&overview(&context, next, &start_button))).into_response()
    }
}

fn overview(context: &PageContext, next: NextRun, start_button: &Markup) -> Markup {
    let PageContext {
        lake, now, run_permission, ..
    } = context;
    let now = *now;
    let declared = match &lake.table.state {
        TableState::Loaded(snapshot) if declared::is_declared(snapshot.dataset()) => Some(snapshot),
        _ => None,
    };
    let statistics = match &lake.table.state {
        TableState::Loaded(snapshot) if declared.is_none() => Some(LakeStatistics::of(snapshot, Day::of(now))),
        _ => None,
    };
    let is_loaded = declared.is_some() || statistics.is_some();
    let trends = Trends::of(&lake.runs);
    html! {
        (components::heading("Overview", &subtitle(lake, now), start_button))
        (alerts::banners(lake, context.known_lake(), *run_permission, now))
        @if let Some(statistics) = &statistics {
            (statistics::markup(statistics, &trends, lake, now))
        }
        @if let Some(snapshot) = declared { (declared::statistics::markup(snapshot, lake, now)) }
        div.columns {
            (recent_runs(&lake.runs, next, now))
            @if is_loaded { (sources(&lake.runs)) }
        }
        @if let Some(statistics) = &statistics {
            (age_histogram::histogram(&statistics::by_age(&statistics.all), &statistics::by_age(&statistics.with_image)))
        }
        @if is_loaded {
            (recent_changes::markup(&lake.runs, now))
            (trends.markup(now))
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

fn recent_runs(runs: &[Run], next: NextRun, now: Timestamp) -> Markup {
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
fn sources(runs: &[Run]) -> Markup {
    let succeeded = |run: &&Run| run.state.outcome() == Some(RunOutcome::Succeeded);
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
                    dt { "CSV files" } dd { (number(counts.csv_listed)) }
                    dt { "Images" } dd { (number(counts.images_listed)) }
                    dt { "Read by that run" } dd { (counted(counts.csv_read, "CSV file", "CSV files")) ", " (counted(counts.images_read, "image", "images")) }
                    dt { "Normalized" } dd { (number(counts.normalized)) }
                    dt { "Currently rejected" } dd { a href=(links::REJECTS) { (number(counts.rejects_open)) } }
                }
            } @else {
                p.muted { "No run report yet." }
            }
        }
    }
}
