//! Renders the report of a run: statistics, sources with issues, and all counts.

use datalake_core::report::{Requests, RunOutcome, RunReport, SourceNotice};
use maud::{Markup, html};

use crate::{
    components::{
        format::{counted, milliseconds, number},
        reject_titles,
    },
    page::links,
};

/// The maximum number of sources in each list. The API returns more.
const SOURCES_MAX: usize = 20;

pub(crate) fn statistics(report: &RunReport) -> Markup {
    let counts = &report.counts;
    let statistic = |name: &str, label: &str, value: &str, note: &Markup| {
        html! {
            div.statistic {
                dt { (label) }
                dd.value data-count=(name) { (value) }
                dd.note { (note) }
            }
        }
    };
    let read = html! {
        (counted(counts.csv_read, "CSV file", "CSV files")) " and " (counted(counts.images_read, "image", "images")) " read"
    };
    let open = html! { @if is_complete(report) { a href=(links::REJECTS) { (number(counts.rejects_open)) " open" } " after the run" } };
    let users = match is_complete(report) {
        true => number(counts.users),
        false => "–".to_owned(),
    };
    let requests = html! { (counted(total(&report.requests), "store request", "store requests")) };
    html! {
        dl.statistics #statistics {
            (statistic("added", "Rows added", &number(counts.added), &html! {}))
            (statistic("changed", "Rows changed", &number(counts.changed), &html! {}))
            (statistic("removed", "Rows removed", &number(counts.removed), &html! {}))
            (statistic("users", "Users", &users, &read))
            (statistic("rejected", "Sources rejected", &number(counts.rejected), &open))
            (statistic("elapsed", "Duration", &milliseconds(report.elapsed_ms), &requests))
        }
    }
}

/// Whether the run reached the end, where the totals are counted.
fn is_complete(report: &RunReport) -> bool {
    report.outcome == RunOutcome::Succeeded
}

fn total(requests: &Requests) -> u64 {
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

/// Sources that the run rejected, or accepted with warnings; nothing if there are none.
pub(crate) fn sources_with_issues(report: &RunReport) -> Markup {
    let counts = &report.counts;
    html! {
        @if !report.rejects.is_empty() || !report.notices.is_empty() {
            section.card aria-labelledby="sources" {
                header { h2 #sources { "Sources with issues" } a.small href=(links::REJECTS) { "Currently rejected" } }
                @if !report.rejects.is_empty() {
                    h3 { "Rejected by this run" }
                    (list("Sources rejected by this run", "run-rejects", &report.rejects, counts.rejected))
                }
                @if !report.notices.is_empty() {
                    h3 { "Accepted with warnings" }
                    (list("Sources accepted with warnings", "run-notices", &report.notices, counts.normalized + counts.warnings))
                }
            }
        }
    }
}

fn list(caption: &str, id: &str, sources: &[SourceNotice], total: u64) -> Markup {
    let shown = sources.len().min(SOURCES_MAX);
    let has_all = u64::try_from(shown).is_ok_and(|shown| shown >= total);
    html! {
        div.scroll.low role="region" aria-label=(caption) tabindex="0" {
            table id=(id) {
                caption.visually-hidden { (caption) }
                thead { tr { th scope="col" { "Source" } th scope="col" { "Issue" } th scope="col" { "Code" } } }
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
        @if !has_all { p.small.muted { "The first " (shown) " of " (number(total)) ". The API returns up to " (RunReport::NOTICES_MAX) "." } }
    }
}

/// All counts and store requests.
pub(crate) fn counts(report: &RunReport) -> Markup {
    let (counts, requests) = (&report.counts, &report.requests);
    let totals = [
        ("users", "Rows after the run", counts.users),
        ("rejects_open", "Rejected after the run", counts.rejects_open),
    ];
    let counts = [
        ("listed", "Objects listed", counts.listed),
        ("csv_listed", "CSV files listed", counts.csv_listed),
        ("images_listed", "Images listed", counts.images_listed),
        ("ignored", "Ignored files", counts.ignored),
        ("csv_read", "CSV files read", counts.csv_read),
        ("images_read", "Images read", counts.images_read),
        ("normalized", "Normalized", counts.normalized),
        ("warnings", "Accepted with warnings", counts.warnings),
        ("rejected", "Rejected by this run", counts.rejected),
        ("added", "Rows added", counts.added),
        ("changed", "Rows changed", counts.changed),
        ("removed", "Rows removed", counts.removed),
        ("images_copied", "Images copied", counts.images_copied),
        ("images_removed", "Images deleted", counts.images_removed),
    ];
    let totals = totals.into_iter().filter(|_| is_complete(report));
    let counts: Vec<_> = counts.into_iter().chain(totals).collect();
    let requests = [
        ("list", "LIST requests", requests.list),
        ("get", "GET requests", requests.get),
        ("put", "PUT requests", requests.put),
        ("copy", "COPY requests", requests.copy),
        ("delete", "DELETE requests", requests.delete),
        ("head", "HEAD requests", requests.head),
    ];
    html! {
        div.columns {
            (count_table("counts", "Counts", &counts))
            (count_table("requests", "Store requests", &requests))
        }
    }
}

fn count_table(id: &str, title: &str, counts: &[(&str, &str, u64)]) -> Markup {
    html! {
        section.card aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            table.counts id=(id) {
                caption.visually-hidden { (title) }
                thead.visually-hidden { tr { th scope="col" { "Name" } th scope="col" { "Count" } } }
                tbody {
                    @for (name, label, count) in counts {
                        tr data-count=(name) { th scope="row" { (label) } td.number { (number(count)) } }
                    }
                }
            }
        }
    }
}
