//! One run: where it stands, what it found and did, what it said, and the difference that it made.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::report::{Requests, RunId, RunMode, RunOutcome, RunReport, SourceNotice};
use datalake_table::memory::difference::Difference;
use jiff::Timestamp;
use maud::{Markup, html};
use tokio::time::Instant;

use crate::{
    components::{self, Tone, log_line, reject_titles},
    diff::table::{self, Changes},
    page::{api_address::ApiAddress, context::PageContext, csp::Page, layout::View, run_permission::RunPermission},
    runs,
};
use datalake_api::{
    limits::{requests::StoreReadPermit, scan_pool::ScanPool},
    problem::Problem,
    request::{parameters::NoParameters, path::PathParameter},
    routes::run_redaction,
    snapshots::{error::VersionError, versions::Versions},
};
use datalake_runs::{
    run::{Run, RunState},
    runs::RunHistory,
};

/// Rows before and after that a report has room for; the page of the two versions has more.
const ROWS_MAX: usize = 30;

/// Sources of each list that a report has room for. The API has a hundred.
const SOURCES_MAX: usize = 20;

/// What a run made of the table, as far as it can be shown.
#[derive(Debug)]
enum Made {
    /// Nothing.
    Nothing,
    /// The first version: all rows are new.
    First { rows: usize },
    /// The version after `since`.
    Next { since: u64, until: u64, changes: Changes },
    /// One of the two versions cannot be had any more.
    Gone,
    /// They are being read, or cannot be read now.
    NotNow,
}

/// A run, if anybody knows it.
pub(crate) async fn show(
    visit: PageContext,
    PathParameter(run_id): PathParameter,
    _: NoParameters,
    _: StoreReadPermit,
    State(history): State<RunHistory>,
    State(versions): State<Versions>,
    State(scan_pool): State<ScanPool>,
) -> Result<Response, Problem> {
    let run_id = RunId::parse(&run_id).map_err(|_| Problem::NoSuchRun)?;
    let deadline = visit.deadline();
    let run = match tokio::time::timeout_at(deadline, history.find(&run_id)).await {
        Ok(found) => found.map_err(|_| Problem::StoreUnavailable)?.ok_or(Problem::NoSuchRun)?,
        // It may be one of those that are known without a question.
        Err(_) => { visit.known.runs.iter().find(|run| run.run_id == run_id).cloned() }.ok_or(Problem::StoreUnavailable)?,
    };
    let made = match &run.report {
        Some(report) => made_in_time(&versions, &scan_pool, report, deadline).await?,
        None => Made::Nothing,
    };
    let run = run_redaction::for_caller(run, visit.caller);
    let title = format!("Run {}", run.run_id);
    let frame = visit.frame(View::Run, &title);
    let main = page(&run, &made, &stop_run(&run, &visit), visit.now);
    Ok(Page(frame.page(&main)).into_response())
}

/// Of a report nobody waits for versions that have to be read from the store: whoever looks again finds them read.
async fn made_in_time(versions: &Versions, scan_pool: &ScanPool, report: &RunReport, deadline: Instant) -> Result<Made, Problem> {
    match tokio::time::timeout_at(deadline, made(versions, scan_pool, report)).await {
        Ok(made) => made,
        Err(_) => Ok(Made::NotNow),
    }
}

async fn made(versions: &Versions, scan_pool: &ScanPool, report: &RunReport) -> Result<Made, Problem> {
    let Some(until) = report.version.filter(|_| report.committed == Some(true)) else {
        return Ok(Made::Nothing);
    };
    let after = match versions.at(until).await {
        Ok(after) => after,
        Err(error) => return Ok(unseen(&error)),
    };
    // A table that was made anew counts from 0 again: the version is another run's.
    if after.version().run_id() != Some(&report.run_id) {
        return Ok(Made::Gone);
    }
    let Some(since) = until.checked_sub(1) else {
        return Ok(Made::First { rows: after.len() });
    };
    let before = match versions.at(since).await {
        Ok(before) => before,
        Err(error) => return Ok(unseen(&error)),
    };
    let changes = Changes::first_of(Difference::between(&before, &after), ROWS_MAX, scan_pool).await?;
    Ok(Made::Next { since, until, changes })
}

/// The report is there all the same.
fn unseen(error: &VersionError) -> Made {
    match error {
        VersionError::Gone | VersionError::BeforeFirst | VersionError::NotYet { .. } | VersionError::NoTable => Made::Gone,
        VersionError::Unknown | VersionError::TooBusy | VersionError::StoreUnavailable | VersionError::Damaged => Made::NotNow,
    }
}

/// The place from which an active run is stopped: a button where there is a script, and the request as a line where there is none.
fn stop_run(run: &Run, visit: &PageContext) -> Markup {
    let before = match visit.starting {
        RunPermission::NotOffered => return html! {},
        _ if !run.state.is_active() => return html! {},
        RunPermission::Open => "curl -X DELETE",
        RunPermission::NeedsToken | RunPermission::SignedIn => "curl -X DELETE -H \"Authorization: Bearer $TOKEN\"",
    };
    let address = ApiAddress::new(format!("/runs/{}", run.run_id));
    html! {
        div #stop-run data-needs-token[visit.starting == RunPermission::NeedsToken] {
            button type="button" data-stop=(run.run_id) hidden { "Stop this run" }
            (components::command(before, &visit.origin, &address))
            p #stop-state role="status" {}
        }
    }
}

fn page(run: &Run, made: &Made, stop: &Markup, now: Timestamp) -> Markup {
    let line = html! {
        (components::run_badge(run.state))
        @if let Some(mode) = run.mode { " " (mode_in_words(mode)) "," } " begun by " (runs::trigger(run.trigger))
    };
    html! {
        (components::heading(run.run_id.as_str(), &line, stop))
        @if let Some(error) = &run.error { (failure(run.state, error, run.report.as_ref().map_or(Some(false), |report| report.committed))) }
        @if run.state.is_active() { (progress(run, now)) }
        @if let Some(report) = &run.report { (figures(report)) }
        @if !run.state.is_active() { (times(run, now)) }
        @if let Some(report) = &run.report {
            (difference_made(made))
            (sources(report))
            (work(report))
        }
        @if let Some(text) = &run.log_tail {
            section.card aria-labelledby="log" {
                header { h2 #log { "What its process wrote last" } }
                pre.log #log-tail tabindex="0" { @for line in text.lines() { (log_line::line(line)) "\n" } }
            }
        }
    }
}

fn mode_in_words(mode: RunMode) -> &'static str {
    match mode {
        RunMode::Incremental => "Read what had changed",
        RunMode::Full => "Read every source",
    }
}

/// What a run that cannot work as it is configured has changed, and what to do.
pub(crate) fn unusable_advice(committed: Option<bool>) -> &'static str {
    match committed {
        Some(false) => "Nothing was changed. Retrying will not help: fix the configuration, the credentials or the table.",
        Some(true) => {
            "The run committed a version and failed after that. Retrying will not help: fix the configuration, the credentials or the \
             table; the next run then finishes the publication."
        }
        None => {
            "Whether the run committed a version is not known. Retrying will not help: fix the configuration, the credentials or the table."
        }
    }
}

fn failure(state: RunState, error: &str, committed: Option<bool>) -> Markup {
    let (tone, title, advice) = match state.outcome() {
        None => (Tone::Plain, "What keeps it", ""),
        Some(RunOutcome::Refused) => (
            Tone::Warn,
            "A guard refused to publish",
            "Nothing was changed, and no retry helps: see whether the sources are as they should be.",
        ),
        Some(RunOutcome::Misconfigured) => (Tone::Bad, "Configuration error", unusable_advice(committed)),
        Some(RunOutcome::Stopped) => (Tone::Plain, "It was stopped", "What it had not committed is left to the next run."),
        Some(RunOutcome::Succeeded | RunOutcome::Failed) => (
            Tone::Bad,
            "Why it failed",
            "What was there before is served on. The next run tries again; if it fails as well, the reason has to be mended.",
        ),
    };
    let words = html! {
        p.wrap #run-error { (components::prose(error)) }
        @if !advice.is_empty() { p { (advice) } }
    };
    components::banner(tone, "run-error", title, &words)
}

/// Where an active run stands. Its report comes with its end.
fn progress(run: &Run, now: Timestamp) -> Markup {
    html! {
        section.card #progress aria-labelledby="progress-title" data-follow=(run.run_id) data-active-run=(run.run_id) data-state=(run.state.as_str()) {
            header {
                h2 #progress-title { @if run.state == RunState::Pending { "It is about to begin" } @else { "It is under way" } }
                @if let Some(started_at) = run.started_at { span.small.muted { "begun " (components::since(started_at, now)) } }
            }
            progress aria-label="The run is under way" {}
            p.small.muted { "What it did shows here once it has ended: a reader sees the table before the run or after it, and nothing between." }
        }
    }
}

fn figures(report: &RunReport) -> Markup {
    let counts = &report.counts;
    let figure = |name: &str, term: &str, value: &str, note: &Markup| {
        html! {
            div.figure {
                dt { (term) }
                dd.value data-count=(name) { (value) }
                dd.note { (note) }
            }
        }
    };
    let read = html! {
        (components::counted(counts.csv_read, "CSV file", "CSV files")) " and " (components::counted(counts.images_read, "picture", "pictures")) " read"
    };
    let open =
        html! { @if is_whole(report) { a href="/page/rejects" { (components::number(counts.rejects_open)) " open" } " after the run" } };
    let users = match is_whole(report) {
        true => components::number(counts.users),
        false => "–".to_owned(),
    };
    let asked = html! { (components::counted(requests(&report.requests), "request", "requests")) " to the store" };
    html! {
        dl.figures #figures {
            (figure("added", "Rows added", &components::number(counts.added), &html! {}))
            (figure("changed", "Rows changed", &components::number(counts.changed), &html! {}))
            (figure("removed", "Rows removed", &components::number(counts.removed), &html! {}))
            (figure("users", "Users after it", &users, &read))
            (figure("rejected", "Sources rejected", &components::number(counts.rejected), &open))
            (figure("elapsed", "Took", &components::milliseconds(report.elapsed_ms), &asked))
        }
    }
}

/// Whether the run came to the counts that are taken last.
fn is_whole(report: &RunReport) -> bool {
    report.outcome == RunOutcome::Succeeded
}

fn requests(requests: &Requests) -> u64 {
    let Requests {
        list,
        get,
        put,
        copy,
        delete,
        head,
    } = requests;
    list + get + put + copy + delete + head
}

fn times(run: &Run, now: Timestamp) -> Markup {
    let report = run.report.as_deref();
    let moment =
        |at: Option<Timestamp>| html! { @match at { Some(at) => (components::time(at, now)), None => span.muted { "not recorded" } } };
    html! {
        section.card aria-labelledby="times" {
            h2 #times { "When" }
            dl.pairs {
                dt { "Began" } dd { (moment(run.started_at)) }
                dt { "Ended" } dd { (moment(run.ended_at)) }
                @if let Some(elapsed_ms) = runs::elapsed(run).filter(|_| report.is_none()) { dt { "Took" } dd { (components::milliseconds(elapsed_ms)) } }
                @if let Some(version) = report.and_then(|report| report.version) {
                    dt { "Version" }
                    dd {
                        a href={ "/page/people?version=" (version) } { (version) }
                        @if report.is_some_and(|report| report.committed == Some(true)) { ", made by this run" } @else { ", as it was before" }
                    }
                }
                @if let Some(skew) = report.and_then(|report| report.clock_skew_seconds) {
                    dt { "Clocks" }
                    dd { "The store's is " (components::number(skew.unsigned_abs())) " s " @if skew > 0 { "ahead of" } @else { "behind" } " the run's: set them right." }
                }
                @if report.is_none() { dt { "Report" } dd.muted { "none: what it found and did is not known" } }
            }
        }
    }
}

fn difference_made(made: &Made) -> Markup {
    let rows = |count: &usize| components::counted(u64::try_from(*count).unwrap_or(u64::MAX), "row", "rows");
    html! {
        section.card aria-labelledby="difference" {
            header {
                h2 #difference { "The difference it made" }
                @if let Made::Next { since, until, .. } = made {
                    a.small href={ "/page/changes?since=" (since) "&until=" (until) } { "Version " (since) " to " (until) }
                }
            }
            div #made {
                @match made {
                    Made::Nothing => p.muted data-made="nothing" { "None: it made no version of the table." },
                    Made::First { rows: count } => p data-made="first" { "It made the table: " a href="/page/people?version=0" { (rows(count)) } ", all of them new." },
                    Made::Next { since, until, changes } => { div data-made="next" { (table::table(changes, *since, *until)) } },
                    Made::Gone => p.muted data-made="gone" {
                        "It cannot be shown any more: the rows of a version are kept for a week after a newer one has replaced it. The figures above \
                         say how many there were."
                    },
                    Made::NotNow => p.muted data-made="not-now" { "The two versions are not in memory. They are read from the store as soon as it answers: look again in a moment." },
                }
            }
        }
    }
}

/// Sources that were remarked on or rejected; nothing where there are none.
fn sources(report: &RunReport) -> Markup {
    let counts = &report.counts;
    html! {
        @if !report.rejects.is_empty() || !report.notices.is_empty() {
            section.card aria-labelledby="sources" {
                header { h2 #sources { "Sources that stood out" } a.small href="/page/rejects" { "Those that are refused now" } }
                @if !report.rejects.is_empty() {
                    h3 { "Rejected by this run" }
                    (listed("Sources that this run rejected", "run-rejects", &report.rejects, counts.rejected))
                }
                @if !report.notices.is_empty() {
                    h3 { "Accepted with a remark" }
                    (listed("Sources that were accepted with a remark", "run-notices", &report.notices, counts.normalized + counts.warnings))
                }
            }
        }
    }
}

fn listed(caption: &str, id: &str, sources: &[SourceNotice], count: u64) -> Markup {
    let shown = sources.len().min(SOURCES_MAX);
    let are_all = u64::try_from(shown).is_ok_and(|shown| shown >= count);
    html! {
        div.scroll.low role="region" aria-label=(caption) tabindex="0" {
            table id=(id) {
                caption.visually-hidden { (caption) }
                thead { tr { th scope="col" { "Source" } th scope="col" { "What" } th scope="col" { "Code" } } }
                tbody {
                    @for source in sources.iter().take(shown) {
                        tr data-key=(source.key) {
                            th.wrap scope="row" { code { bdi { (source.key) } } }
                            td { (reject_titles::title_of_code(&source.code)) }
                            td { code { (source.code) } }
                        }
                    }
                }
            }
        }
        @if !are_all { p.small.muted { "The first " (shown) " of " (components::number(count)) ". The API tells up to " (RunReport::NOTICES_MAX) "." } }
    }
}

/// All that it counted, for those who want it.
fn work(report: &RunReport) -> Markup {
    let (counts, requests) = (&report.counts, &report.requests);
    let last = [
        ("users", "Rows after the run", counts.users),
        ("rejects_open", "Rejected after the run", counts.rejects_open),
    ];
    let counts = [
        ("listed", "Objects listed", counts.listed),
        ("csv_listed", "CSV files among them", counts.csv_listed),
        ("images_listed", "Images among them", counts.images_listed),
        ("ignored", "Ignored", counts.ignored),
        ("csv_read", "CSV files read", counts.csv_read),
        ("images_read", "Images read", counts.images_read),
        ("normalized", "Normalized", counts.normalized),
        ("warnings", "Accepted with a warning", counts.warnings),
        ("rejected", "Rejected by this run", counts.rejected),
        ("added", "Rows added", counts.added),
        ("changed", "Rows changed", counts.changed),
        ("removed", "Rows removed", counts.removed),
        ("images_copied", "Images copied", counts.images_copied),
        ("images_removed", "Copies removed", counts.images_removed),
    ];
    let last = last.into_iter().filter(|_| is_whole(report));
    let counts: Vec<_> = counts.into_iter().chain(last).collect();
    let requests = [
        ("list", "Pages listed", requests.list),
        ("get", "Objects read", requests.get),
        ("put", "Objects written", requests.put),
        ("copy", "Objects copied", requests.copy),
        ("delete", "Objects removed", requests.delete),
        ("head", "Descriptions asked for", requests.head),
    ];
    html! {
        div.columns {
            (tally("counts", "What it found and did", &counts))
            (tally("requests", "What it asked of the store", &requests))
        }
    }
}

fn tally(id: &str, title: &str, figures: &[(&str, &str, u64)]) -> Markup {
    html! {
        section.card aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            table.tally id=(id) {
                caption.visually-hidden { (title) }
                thead.visually-hidden { tr { th scope="col" { "What" } th scope="col" { "How many" } } }
                tbody {
                    @for (name, words, figure) in figures {
                        tr data-count=(name) { th scope="row" { (words) } td.number { (components::number(figure)) } }
                    }
                }
            }
        }
    }
}
