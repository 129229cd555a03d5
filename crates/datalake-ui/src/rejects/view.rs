//! Renders the rejects page.

use datalake_core::{
    dataset::Dataset,
    reject::{ExcludedSource, ExclusionKind},
    row_id::shown,
};
use datalake_table::memory::snapshot::Snapshot;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        format::{number, relative_time},
        labels,
        pager::Pager,
        reject_card::RejectCard,
        reject_titles,
        row::{TEXT_BYTES_MAX, mention},
        run,
    },
    page::links,
    rejects::model::{RejectsPage, RejectsRequest, count_by_code, page_of},
};
use datalake_api::routes::explain::{self, Served};

pub(crate) fn markup(snapshot: &Snapshot, request: &RejectsRequest, now: Timestamp) -> Markup {
    let version = snapshot.version().number();
    let subtitle = html! {
        "Files that are not part of version " (version) ". Other " (labels::rows(snapshot.dataset())) " are unaffected. The next run accepts a file that is fixed."
    };
    let export = html! {
        div.actions {
            a.button href=(links::REJECT_REFERENCE) { "All reasons explained" }
            @if !snapshot.rejects().is_empty() {
                a.button #export href=(request.list().with("escape", "spreadsheet").address("/rejects.csv")) download="rejects.csv" { "Download CSV" }
            }
        }
    };
    html! {
        (components::heading("Rejects", &subtitle, &export))
        @if snapshot.rejects().is_empty() {
            section.card.empty #no-rejects { p { "No rejected files. Every source was accepted." } }
        } @else {
            (tabs(snapshot, request))
            (reason_filter(snapshot.rejects(), request))
            (list(snapshot, request, now))
        }
    }
}

/// The numbers of rejected and ignored sources, as tabs. The overview and the runs count only the rejected ones.
fn tabs(snapshot: &Snapshot, request: &RejectsRequest) -> Markup {
    let (rejected, ignored) = (snapshot.rejected_count(), snapshot.ignored_count());
    let listed = snapshot.rejects().len() - rejected;
    let tab = |kind: ExclusionKind, label: &str, count: usize| {
        let is_current = (request.kind == kind).then_some("page");
        html! {
            li {
                a href=(request.query(kind, None).address(links::REJECTS)) aria-current=[is_current] data-kind=(kind.as_str()) data-count=(count) {
                    (label) " " span.count { (number(count)) }
                }
            }
        }
    };
    let note = note_of_kind(snapshot.dataset(), request.kind);
    html! {
        nav.tabs aria-label="Kinds of rejects" {
            ul {
                (tab(ExclusionKind::Rejected, "Rejected", rejected))
                (tab(ExclusionKind::Ignored, "Ignored", ignored))
            }
        }
        p.muted #totals data-rejected=(rejected) data-ignored=(ignored) {
            (note)
            @if request.kind == ExclusionKind::Ignored && ignored > listed { " The first " (number(listed)) " are listed." }
        }
    }
}

fn note_of_kind(dataset: &Dataset, kind: ExclusionKind) -> Markup {
    let name = |key: &str| key.rsplit('/').next().unwrap_or_default().to_owned();
    html! {
        @match kind {
            ExclusionKind::Rejected => {
                "The content is invalid. The last valid row"
                @for file in dataset.files() { " or " (labels::file_in_sentence(file)) }
                " of the " (dataset.entity()) ", if there is one, is still served."
            },
            ExclusionKind::Ignored => {
                "The object is not a source: its name is not " (name(dataset.key().as_str()))
                @for file in dataset.files() { " or " (name(file.key.as_str())) }
                @if !dataset.files().is_empty() { ", or it has no " (labels::sources_in_sentence(dataset)[0]) }
                ". No " (dataset.entity()) " is affected."
            },
        }
    }
}

/// A choice of the reason, with the number of its sources. The script applies it on change.
fn reason_filter(rejects: &[ExcludedSource], request: &RejectsRequest) -> Markup {
    let counts = count_by_code(rejects, request.kind);
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let selected = request.code.as_deref();
    // A reason without sources can be requested, too.
    let absent = selected.filter(|code| counts.iter().all(|(counted, _)| counted != code));
    html! {
        form.filters.reasons #reasons method="get" action=(links::REJECTS) data-apply {
            input type="hidden" name="kind" value=(request.kind.as_str());
            @for (name, value) in request.time_travel.iter() { input type="hidden" name=(name) value=(value); }
            div.field {
                label for="code" { "Reason" }
                select #code name="code" {
                    option value="" data-count=(total) { "All reasons (" (number(total)) ")" }
                    @for (code, count) in &counts {
                        option value=(code) selected[selected == Some(code)] data-count=(count) { (reject_titles::title_of_code(code)) " (" (number(count)) ")" }
                    }
                    @if let Some(code) = absent { option value=(code) selected data-count="0" { (reject_titles::title_of_code(code)) " (0)" } }
                }
            }
            button type="submit" data-submit { "Show" }
        }
    }
}

fn list(snapshot: &Snapshot, request: &RejectsRequest, now: Timestamp) -> Markup {
    let page = page_of(snapshot, request);
    let pager = pager(&page, request);
    html! {
        @if page.entries.is_empty() {
            section.card.empty #no-rejects {
                p {
                    @match (request.kind, &request.code) {
                        (_, Some(_)) => "No files have this reason.",
                        (ExclusionKind::Rejected, None) => "No rejected files.",
                        (ExclusionKind::Ignored, None) => "No ignored files.",
                    }
                }
            }
        } @else {
            section.card aria-labelledby="files" {
                h2.visually-hidden #files { "Files" }
                ol.rejects #rejects start=(page.before + 1) data-total=(page.total) {
                    @for open in &page.entries { (RejectCard::of(snapshot.dataset(), open).item(&note(open, snapshot, request, now))) }
                }
            }
        }
        @if pager.has_links() { (pager.markup()) }
    }
}

fn pager(page: &RejectsPage<'_>, request: &RejectsRequest) -> Pager {
    let end = page.before + page.entries.len();
    let last = page.entries.last().filter(|_| end < page.total);
    let list = request.list();
    Pager {
        range: html! { @if !page.entries.is_empty() { (number(page.before + 1)) "–" (number(end)) " of " (number(page.total)) } },
        jump: Markup::default(),
        first: (page.before > 0).then(|| (list.address(links::REJECTS), "First page")),
        previous: (page.before > 0).then(|| {
            let previous = match page.previous {
                Some(after) => list.with("after", after),
                None => list.clone(),
            };
            (previous.address(links::REJECTS), "Previous page")
        }),
        next: last.map(|last| (list.with("after", &last.key).address(links::REJECTS), "Next page")),
    }
}

fn note(open: &ExcludedSource, snapshot: &Snapshot, request: &RejectsRequest, now: Timestamp) -> Markup {
    html! {
        "First " (open.kind().as_str()) " " (relative_time(open.since, now)) " by run " (run::link(open.run_id.as_str())) ". "
        span data-served { (served(open, snapshot, request)) }
    }
}

/// What is still served for the row of a rejected source.
fn served(open: &ExcludedSource, snapshot: &Snapshot, request: &RejectsRequest) -> Markup {
    let row = open.row_id.as_ref().and_then(|user_id| snapshot.row(user_id.as_str()));
    let served = explain::served(snapshot.dataset(), open, row);
    html! {
        @match (row, &open.row_id) {
            (Some(row), _) => {
                @let link = html! { a href=(request.row_href(&shown(row.row_id))) { (mention(row, TEXT_BYTES_MAX)) } };
                @match served {
                    Served::LastRow | Served::LastFile(_) => { "Still served: " (served) " of " (link) "." },
                    Served::NoRow | Served::NoFile(_) => { "Not served: " (link) " has " (served) "." },
                    Served::WithoutObject => { "This file is not accepted; other files provide the row of " (link) "." },
                }
            },
            (None, Some(user_id)) if served != Served::WithoutObject => { "Not served: " (snapshot.dataset().entity()) " " (user_id) " has no row." },
            _ => "No row is affected.",
        }
    }
}
