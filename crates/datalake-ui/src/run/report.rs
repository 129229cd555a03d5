//! Renders the report of a run: statistics, sources with issues, and all counts.

use datalake_core::run::{Requests, RunOutcome, RunReport};
use maud::{Markup, html};

use crate::{
    components::format::{counted, milliseconds, number},
    page::links,
};

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
        @if is_read_known(report) {
            (counted(counts.csv_read, "CSV file", "CSV files")) " and " (counted(counts.images_read, "image", "images")) " read"
        }
    };
    let open = html! {
        @if is_complete(report) { a href=(links::REJECTS) { (number(counts.rejects_open)) " rejected" } " after the run" }
        @else if counts.rejected > 0 { (number(counts.rejected)) " rejected by the run" }
    };
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
            (statistic("rejected-new", "Newly rejected", &number(counts.rejected_new), &open))
            (statistic("elapsed", "Duration", &milliseconds(report.elapsed_ms), &requests))
        }
    }
}

/// Whether the run reached the end, where the totals are counted.
fn is_complete(report: &RunReport) -> bool {
    report.outcome == RunOutcome::Succeeded
}

/// Whether the run reached the point at which it counts the sources that it has read.
fn is_read_known(report: &RunReport) -> bool {
    let counts = &report.counts;
    is_complete(report) || counts.csv_read + counts.images_read > 0
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

/// All counts and store requests.
pub(crate) fn counts(report: &RunReport) -> Markup {
    let (counts, requests) = (&report.counts, &report.requests);
    let read = |count: u64| Some(count).filter(|_| is_read_known(report));
    let totals = [
        ("users", "Rows after the run", Some(counts.users)),
        ("rejects_open", "Rejected after the run", Some(counts.rejects_open)),
    ];
    let counts = [
        ("listed", "Objects listed", Some(counts.listed)),
        ("csv_listed", "CSV files listed", Some(counts.csv_listed)),
        ("images_listed", "Images listed", Some(counts.images_listed)),
        ("ignored", "Ignored files", Some(counts.ignored)),
        ("csv_read", "CSV files read", read(counts.csv_read)),
        ("images_read", "Images read", read(counts.images_read)),
        ("normalized", "Normalized", Some(counts.normalized)),
        ("warnings", "Accepted with warnings", Some(counts.warnings)),
        ("rejected", "Rejected by this run", Some(counts.rejected)),
        ("rejected_new", "Newly rejected", Some(counts.rejected_new)),
        ("added", "Rows added", Some(counts.added)),
        ("changed", "Rows changed", Some(counts.changed)),
        ("removed", "Rows removed", Some(counts.removed)),
        ("images_copied", "Images copied", Some(counts.images_copied)),
        ("images_removed", "Images deleted", Some(counts.images_removed)),
    ];
    let totals = totals.into_iter().filter(|_| is_complete(report));
    let counts: Vec<_> = counts.into_iter().chain(totals).collect();
    let requests = [
        ("list", "LIST requests", Some(requests.list)),
        ("get", "GET requests", Some(requests.get)),
        ("put", "PUT requests", Some(requests.put)),
        ("copy", "COPY requests", Some(requests.copy)),
        ("delete", "DELETE requests", Some(requests.delete)),
        ("head", "HEAD requests", Some(requests.head)),
    ];
    html! {
        div.columns {
            (count_table("counts", "Counts", &counts))
            (count_table("requests", "Store requests", &requests))
        }
    }
}

fn count_table(id: &str, title: &str, counts: &[(&str, &str, Option<u64>)]) -> Markup {
    html! {
        section.card aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            table.counts id=(id) {
                caption.visually-hidden { (title) }
                thead.visually-hidden { tr { th scope="col" { "Name" } th scope="col" { "Count" } } }
                tbody {
                    @for (name, label, count) in counts {
                        tr data-count=(name) { th scope="row" { (label) } td.number { (count.map_or_else(|| "–".to_owned(), number)) } }
                    }
                }
            }
        }
    }
}
