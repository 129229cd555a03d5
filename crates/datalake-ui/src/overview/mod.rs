//! The overview: who is in the lake, whether that is fresh, and what the last runs did. Of what is known: the store is not asked.

mod alerts;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_core::{
    query::filter::{Filter, ImageFilter},
    report::{Counts, RunOutcome},
    user::Day,
};
use datalake_table::memory::{snapshot::Snapshot, statistics::Statistics};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self, age_histogram,
        chart::{self, Column},
    },
    page::{context::PageContext, csp::Page, layout::View, live::Known},
};
use datalake_api::snapshots::watch::TableState;
use datalake_runs::{launcher::NextRun, run::Run, runs::RunHistory};

/// A day of hourly runs.
const RUNS_DRAWN: usize = 24;

/// What the overview shows.
#[derive(Debug)]
pub struct Overview {
    visit: PageContext,
    next: NextRun,
}

impl<S> FromRequestParts<S> for Overview
where
    S: Send + Sync,
    PageContext: FromRequestParts<S, Rejection = std::convert::Infallible>,
    RunHistory: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self {
            visit: PageContext::from_request_parts(parts, state).await?,
            next: RunHistory::from_ref(state).next_run().await,
        })
    }
}

impl IntoResponse for Overview {
    fn into_response(self) -> Response {
        let Self { visit, next } = self;
        let frame = visit.frame(View::Overview, "Overview");
        let start = components::start_run(visit.starting, &visit.origin);
        Page(frame.page(&overview(&visit, next, &start))).into_response()
    }
}

fn overview(visit: &PageContext, next: NextRun, start: &Markup) -> Markup {
    let PageContext { known, now, starting, .. } = visit;
    let now = *now;
    let lake = match &known.table.state {
        TableState::Loaded(snapshot) => Some(Lake::of(snapshot, Day::of(now))),
        TableState::Missing | TableState::Loading => None,
    };
    html! {
        (components::heading("Overview", &line(known, now), start))
        (alerts::banners(known, *starting, now))
        @if let Some(lake) = &lake {
            (figures(lake, known, now))
        }
        div.columns {
            (last_runs(&known.runs, next, now))
            (sources(&known.runs))
        }
        @if let Some(lake) = &lake {
            (age_histogram::histogram(&lake.all.by_age, &lake.with_image.by_age))
        }
        (changes(&known.runs))
    }
}

/// The figures of the version held.
struct Lake {
    version: u64,
    committed_at: Timestamp,
    all: Statistics,
    with_image: Statistics,
    rejects: usize,
    ignored: usize,
}

impl Lake {
    /// From sums per day alone, whatever the number of rows.
    fn of(snapshot: &Snapshot, on: Day) -> Self {
        let figures = |image| {
            let filter = Filter {
                image,
                ..Filter::default()
            };
            snapshot.statistics(&snapshot.select(&filter, on))
        };
        Self {
            version: snapshot.version().number(),
            committed_at: snapshot.version().committed_at(),
            all: figures(None),
            with_image: figures(Some(ImageFilter::With)),
            rejects: snapshot.rejected_count(),
            ignored: snapshot.ignored_count(),
        }
    }
}

fn line(known: &Known, now: Timestamp) -> Markup {
    let version = known.live().version;
    html! {
        @if let Some(version) = version { "Version " (version) }
        // While the store answers it is asked twice a second: that is nothing to tell, and the page would count on from when it was drawn.
        @if let (Some(_), Some(_), Some(checked_at)) = (version, known.table.failing_since, known.table.checked_at) {
            ", checked against the store " span #checked { (components::since(checked_at, now)) }
        }
    }
}

fn figures(lake: &Lake, known: &Known, now: Timestamp) -> Markup {
    let Lake { all, .. } = lake;
    let average = |figure: Option<f64>| figure.map_or("–".to_owned(), |years| format!("{years:.1}"));
    let share =
        |part: u64| html! { @if let Some(percent) = (part * 200 + all.count).checked_div(all.count * 2) { (percent) " % of users" } };
    html! {
        dl.figures {
            (figure("users", "Users", &html! { a href="/page/people" { (components::number(all.count)) } }, &html! {
                @if let (Some(youngest), Some(oldest)) = (all.min_age, all.max_age) {
                    a href="/page/people?min_age" { "youngest " (youngest) } ", " a href="/page/people?max_age" { "oldest " (oldest) }
                }
            }))
            (figure("with-image", "With a picture",
                &html! { a href="/page/people?is_image_exists=True" { (components::number(all.with_image)) } }, &share(all.with_image)))
            (figure("without-image", "Without a picture",
                &html! { a href="/page/people?is_image_exists=False" { (components::number(all.without_image)) } }, &share(all.without_image)))
            (figure("average-age", "Average age", &html! { (average(all.average_age)) }, &html! {
                @if let Some(median) = all.median_age { "median " (median) " years" }
            }))
            (figure("data-age", "Data confirmed", &html! { (components::since(known.confirmed_at().unwrap_or(lake.committed_at), now)) }, &html! {
                a href="/page/versions" { "version " (lake.version) } ", made " (components::since(lake.committed_at, now))
            }))
            (figure("rejects-open", "Rejected sources", &html! { a href="/page/rejects" { (components::number(lake.rejects)) } }, &html! {
                @if lake.rejects > 0 { "what was good before is served" } @else { "every source read was taken" }
                @if lake.ignored > 0 { "; beside them " (components::number(lake.ignored)) " ignored" }
            }))
        }
    }
}

/// `name` is an id, for tests.
fn figure(name: &str, term: &str, value: &Markup, note: &Markup) -> Markup {
    html! {
        div.figure id=(name) {
            dt { (term) }
            dd.value { (value) }
            dd.note { (note) }
        }
    }
}

fn last_runs(runs: &[Run], next: NextRun, now: Timestamp) -> Markup {
    let active: Vec<&Run> = runs.iter().filter(|run| run.state.is_active()).collect();
    let ended = runs.iter().find(|run| !run.state.is_active());
    html! {
        section.card aria-labelledby="runs" {
            header { h2 #runs { "Runs" } a.small href="/page/runs" { "All runs" } }
            dl.pairs {
                @if !active.is_empty() {
                    dt { "Now" }
                    dd #active-runs {
                        @for run in active {
                            div data-active-run=(run.run_id) {
                                (components::run_badge(run.state)) " " (link(run))
                                @if let Some(started_at) = run.started_at { br; "began " (components::since(started_at, now)) }
                            }
                        }
                    }
                }
                dt { "Last" }
                dd #last-run data-run-id=[ended.map(|run| &run.run_id)] {
                    @match ended { Some(run) => (last(run, now)), None => "No run has ended that is known here." }
                }
                dt { "Next" }
                dd #next-run {
                    @match next {
                        NextRun::At(at) => (components::time(at, now)),
                        NextRun::Never => "None is due: the schedule is paused or over.",
                        NextRun::Unknown => "Not known here: something else starts the runs.",
                    }
                }
            }
        }
    }
}

fn last(run: &Run, now: Timestamp) -> Markup {
    html! {
        (components::run_badge(run.state)) " " (link(run))
        br;
        @if let Some(ended_at) = run.ended_at { "ended " (components::time(ended_at, now)) }
        @if let Some(report) = run.report.as_ref().filter(|_| run.state.outcome() == Some(RunOutcome::Succeeded)) {
            br;
            (did(&report.counts)) ", in " (components::milliseconds(report.elapsed_ms))
        }
    }
}

fn link(run: &Run) -> Markup {
    html! { a.wrap href={ "/page/runs/" (run.run_id) } { (run.run_id) } }
}

/// What a run did to rows, in words.
fn did(counts: &Counts) -> String {
    let figures = [
        (counts.added, "added"),
        (counts.changed, "changed"),
        (counts.removed, "removed"),
        (counts.rejected, "rejected"),
    ];
    let words: Vec<String> = figures
        .iter()
        .filter(|(figure, _)| *figure > 0)
        .map(|(figure, word)| format!("{} {word}", components::number(figure)))
        .collect();
    if words.is_empty() {
        "nothing to do".to_owned()
    } else {
        words.join(", ")
    }
}

/// What lay in the lake when the last run looked.
fn sources(runs: &[Run]) -> Markup {
    // One that failed may have seen nothing.
    let succeeded = |run: &&Run| run.state.outcome() == Some(RunOutcome::Succeeded);
    let report = runs.iter().filter(succeeded).find_map(|run| run.report.as_deref());
    html! {
        section.card aria-labelledby="sources" {
            header {
                h2 #sources { "Sources" }
                @if report.is_some() { span.small.muted { "as the last run that succeeded found them" } }
            }
            @if let Some(report) = report {
                @let counts = &report.counts;
                dl.pairs {
                    dt { "CSV files" } dd { (components::number(counts.csv_listed)) }
                    dt { "Pictures" } dd { (components::number(counts.images_listed)) }
                    dt { "Read by that run" } dd { (components::counted(counts.csv_read, "CSV file", "CSV files")) ", " (components::counted(counts.images_read, "picture", "pictures")) }
                    dt { "Normalized" } dd { (components::number(counts.normalized)) }
                    dt { "Rejected now" } dd { a href="/page/rejects" { (components::number(counts.rejects_open)) } }
                }
            } @else {
                p.muted { "No run has left a report yet." }
            }
        }
    }
}

const PARTS: [&str; 4] = ["added", "changed", "removed", "rejected"];

/// What the last runs changed, the newest to the right.
fn changes(runs: &[Run]) -> Markup {
    let ended: Vec<&Run> = { runs.iter() }.filter(|run| !run.state.is_active()).take(RUNS_DRAWN).collect();
    let columns: Vec<Column> = ended.iter().rev().map(|run| column(run)).collect();
    let has_failed = columns.iter().any(|column| column.is_marked);
    let count = columns.len();
    // The first runs of a lake stand where they will when there are more.
    let gaps = std::iter::repeat_n(None, RUNS_DRAWN - count);
    let columns: Vec<Option<Column>> = gaps.chain(columns.into_iter().map(Some)).collect();
    let oldest = ended.last().and_then(|run| run.started_at.or(run.ended_at));
    html! {
        section.card aria-labelledby="changes" {
            header { h2 #changes { "Changes by the last runs" } (chart::legend(&PARTS.map(|part| (part, part)))) }
            @if count == 0 {
                p.muted { "No run has ended that is known here." }
            } @else {
                (chart::columns(&columns))
                p.small.muted {
                    (components::counted(u64::try_from(count).unwrap_or(u64::MAX), "run", "runs")) ", the newest to the right"
                    @if let Some(oldest) = oldest { "; the first began at " (components::moment(oldest)) }
                    @if has_failed { "; × did not succeed" }
                    "."
                }
                details #changes-table {
                    summary { "The figures as a table" }
                    (components::scroll("Figures of the last runs", &table(&ended)))
                }
            }
        }
    }
}

fn column(run: &Run) -> Column {
    let counts = run.report.as_ref().map(|report| &report.counts);
    let figures = counts.map_or([0; 4], |counts| [counts.added, counts.changed, counts.removed, counts.rejected]);
    let is_well = run.state.outcome() == Some(RunOutcome::Succeeded);
    let did = match (counts, is_well) {
        (Some(counts), true) => did(counts),
        _ => run.state.as_str().to_owned(),
    };
    let began = run
        .started_at
        .map_or_else(String::new, |at| format!(", {} UTC", at.strftime("%Y-%m-%d %H:%M")));
    Column {
        href: format!("/page/runs/{}", run.run_id),
        words: format!("Run {}{began}: {did}", run.run_id),
        label: run.started_at.map_or_else(String::new, |at| at.strftime("%H:%M").to_string()),
        parts: PARTS.into_iter().zip(figures).collect(),
        is_marked: !is_well,
    }
}

fn table(runs: &[&Run]) -> Markup {
    html! {
        table {
            caption.visually-hidden { "Changes by the last runs, the newest first" }
            thead {
                tr {
                    th scope="col" { "Run" }
                    th scope="col" { "State" }
                    @for words in PARTS { th.number scope="col" { (words) } }
                }
            }
            tbody {
                @for run in runs {
                    tr {
                        th scope="row" { (link(run)) }
                        td { (components::run_badge(run.state)) }
                        @match run.report.as_ref().map(|report| &report.counts) {
                            Some(counts) => {
                                @for figure in [counts.added, counts.changed, counts.removed, counts.rejected] { td.number { (components::number(figure)) } }
                            },
                            None => { @for _ in PARTS { td.number { "–" } } },
                        }
                    }
                }
            }
        }
    }
}
