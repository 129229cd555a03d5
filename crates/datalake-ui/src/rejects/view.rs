//! Renders the rejects page.

use datalake_core::reject::{ExcludedSource, Exclusion};
use datalake_table::memory::snapshot::Snapshot;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        self,
        excerpt::excerpt,
        format::{number, relative_time, sentence, truncate},
        pager::Pager,
        reject_titles, run,
    },
    page::links,
    rejects::model::{RejectsPage, RejectsRequest, count_by_code, paginate},
};
use datalake_api::routes::explain;

/// How many bytes of a name are shown.
const NAME_BYTES_MAX: usize = 100;

/// The columns of a source. A message that begins with one keeps its spelling.
const COLUMNS: [&str; 3] = ["first_name", "last_name", "birthts"];

pub(crate) fn markup(snapshot: &Snapshot, request: &RejectsRequest, now: Timestamp) -> Markup {
    let rejects = snapshot.rejects();
    let version = snapshot.version().number();
    let subtitle = html! {
        "Files that could not be imported in version " (version) ". Other users are unaffected; fix the file and the next run imports it."
    };
    html! {
        (components::heading("Rejects", &subtitle, &html! {}))
        @if rejects.is_empty() {
            section.card.empty #no-rejects { p { "No rejected files. Every source was imported." } }
        } @else {
            (totals(snapshot))
            (code_filter(rejects, request))
            (list(snapshot, request, now))
        }
    }
}

/// The number of rejected and ignored sources. The overview and the runs count only the rejected ones.
fn totals(snapshot: &Snapshot) -> Markup {
    let (rejected, ignored) = (snapshot.rejected_count(), snapshot.ignored_count());
    let listed = snapshot.rejects().len() - rejected;
    html! {
        p #totals data-rejected=(rejected) data-ignored=(ignored) {
            (number(rejected)) " rejected (invalid content)"
            @if ignored > 0 { " · " (number(ignored)) " ignored (not a source; no user is affected)" }
            @if ignored > listed { ", of which the first " (number(listed)) " are listed" }
        }
    }
}

/// A link for each code, with the number of its sources.
fn code_filter(rejects: &[ExcludedSource], request: &RejectsRequest) -> Markup {
    let link = |code: Option<&str>, label: &str, count: usize| {
        let is_current = (request.code.as_deref() == code).then_some("true");
        html! {
            a.button href=(request.address(links::REJECTS, code, None)) aria-current=[is_current] data-code=[code] data-count=(count) {
                (label) " " span.muted { (number(count)) }
            }
        }
    };
    html! {
        nav aria-label="Reasons" {
            div.actions #codes {
                (link(None, "All reasons", rejects.len()))
                @for (code, count) in count_by_code(rejects) {
                    (link(Some(code), reject_titles::title_of_code(code), count))
                }
            }
        }
    }
}

fn list(snapshot: &Snapshot, request: &RejectsRequest, now: Timestamp) -> Markup {
    let page = paginate(snapshot.rejects(), request.code.as_deref(), request.after.as_deref());
    let pager = pager(&page, request);
    html! {
        @if page.entries.is_empty() {
            section.card.empty #no-rejects { p { "No rejected files for this reason." } }
        } @else {
            section.card aria-label="Rejected files" {
                ol.rejects #rejects start=(page.before + 1) data-total=(page.total) {
                    @for open in &page.entries { (entry(open, snapshot, request, now)) }
                }
            }
        }
        @if pager.has_links() { (pager.markup()) }
    }
}

fn pager(page: &RejectsPage<'_>, request: &RejectsRequest) -> Pager {
    let end = page.before + page.entries.len();
    let last = page.entries.last().filter(|_| end < page.total);
    let href = |after| request.address(links::REJECTS, request.code.as_deref(), after);
    Pager {
        range: html! { @if !page.entries.is_empty() { (number(page.before + 1)) "–" (number(end)) " of " (number(page.total)) } },
        first: (page.before > 0).then(|| (href(None), "First page")),
        next: last.map(|last| (href(Some(&*last.key)), "Next page")),
    }
}

fn entry(open: &ExcludedSource, snapshot: &Snapshot, request: &RejectsRequest, now: Timestamp) -> Markup {
    let reject = match &open.exclusion {
        Exclusion::Rejected(reject) => Some(reject),
        Exclusion::Ignored(_) => None,
    };
    let reason = open.reason();
    let kind = match reject {
        Some(_) => "rejected",
        None => "ignored",
    };
    html! {
        li data-key=(open.key) data-code=(open.exclusion.code()) {
            header {
                h2 { (reject_titles::title(&open.exclusion)) }
                code.muted { (open.exclusion.code()) }
            }
            p.where {
                code.wrap { bdi { (open.key) } }
                @if let Some(position) = reject.and_then(|reject| reject.position) {
                    " "
                    span.muted {
                        @if let (Some(line), Some(column)) = (position.line, position.column) { "line " (line) ", column " (column) ", " }
                        "byte " (number(position.byte_offset))
                    }
                }
            }
            @if let Some(reject) = reject && let Some(text) = &reject.excerpt { (excerpt(text, reject.excerpt_offset)) }
            p.wrap { (reason_sentence(&reason.found)) " Expected: " (reason.expected) "." }
            p.wrap data-remedy { (reason_sentence(&reason.remedy)) }
            p.small.muted {
                "First " (kind) " " (relative_time(open.since, now)) " by run " (run::link(open.run_id.as_str())) ". "
                span data-served { (served(open, snapshot, request)) }
            }
        }
    }
}

/// A message as a sentence.
fn reason_sentence(message: &str) -> String {
    match COLUMNS.iter().any(|column| message.starts_with(column)) {
        true => format!("{message}."),
        false => sentence(message),
    }
}

/// What is still served for the user of a rejected source.
fn served(open: &ExcludedSource, snapshot: &Snapshot, request: &RejectsRequest) -> Markup {
    let row = open.user_id.as_ref().and_then(|user_id| snapshot.row(user_id.as_str()));
    let is_rejected = matches!(open.exclusion, Exclusion::Rejected(_));
    let what = explain::served(open, row);
    html! {
        @match (row, &open.user_id) {
            (Some(row), _) => {
                @if is_rejected { "Still served: " (what) " of " } @else { "This file is not imported; other files provide the row of " }
                a href=(request.user_href(row.user_id)) { bdi { (truncate(row.first_name, NAME_BYTES_MAX)) " " (truncate(row.last_name, NAME_BYTES_MAX)) } }
                " (" (row.user_id) ")."
            },
            (None, Some(user_id)) if is_rejected => { "Still served: " (what) " of user " (user_id) "." },
            _ => "No row is affected.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_name_keeps_its_spelling() {
        assert_eq!(reason_sentence("there is a quote"), "There is a quote.");
        assert_eq!(reason_sentence("birthts is before 1850"), "birthts is before 1850.");
    }
}
