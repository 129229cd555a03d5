//! Renders the report of a run: statistics, sources with issues, and all counts.

use datalake_core::{
    dataset::Dataset,
    run::{Counts, Requests, RunOutcome, RunReport},
    text::capitalized,
};
use maud::{Markup, html};

use crate::{
    components::{
        format::{counted, milliseconds, number},
        labels,
    },
    page::links,
};

pub(crate) fn statistics(report: &RunReport, dataset: &Dataset) -> Markup {
    let (counts, [source, sources]) = (&report.counts, labels::sources_in_sentence(dataset));
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
            (counted(counts.csv_read, source, sources))
            @if let Some([file, files]) = labels::files_in_sentence(dataset) { " and " (counted(counts.images_read, &file, &files)) }
            " read"
        }
    };
    let open = html! {
        @if is_complete(report) { a href=(links::REJECTS) { (number(counts.rejects_open)) " rejected" } " after the run" }
        @else if counts.rejected > 0 { (number(counts.rejected)) " rejected by the run" }
    };
    let rows = match is_complete(report) {
        true => number(counts.users),
        false => "–".to_owned(),
    };
    let requests = html! { (counted(total(&report.requests), "store request", "store requests")) };
    html! {
        dl.statistics #statistics {
            (statistic("added", "Rows added", &number(counts.added), &html! {}))
            (statistic("changed", "Rows changed", &number(counts.changed), &html! {}))
            (statistic("removed", "Rows removed", &number(counts.removed), &html! {}))
            (statistic("users", dataset.title(), &rows, &read))
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
pub(crate) fn counts(report: &RunReport, dataset: &Dataset) -> Markup {
    let (counts, requests) = (&report.counts, &report.requests);
    let sources = capitalized(labels::sources_in_sentence(dataset)[1]);
    let read = |count: u64| Some(count).filter(|_| is_read_known(report));
    let totals = [
        count("users", "Rows after the run", Some(counts.users)),
        count("rejects_open", "Rejected after the run", Some(counts.rejects_open)),
    ];
    let [listed, files_read, copied_and_removed] = file_counts(counts, dataset, read(counts.images_read));
    let all = [
        vec![
            count("listed", "Objects listed", Some(counts.listed)),
            count("csv_listed", &format!("{sources} listed"), Some(counts.csv_listed)),
        ],
        listed,
        vec![
            count("ignored", "Ignored files", Some(counts.ignored)),
            count("csv_read", &format!("{sources} read"), read(counts.csv_read)),
        ],
        files_read,
        vec![
            count("normalized", "Normalized", Some(counts.normalized)),
            count("warnings", "Accepted with warnings", Some(counts.warnings)),
            count("rejected", "Rejected by this run", Some(counts.rejected)),
            count("rejected_new", "Newly rejected", Some(counts.rejected_new)),
            count("added", "Rows added", Some(counts.added)),
            count("changed", "Rows changed", Some(counts.changed)),
            count("removed", "Rows removed", Some(counts.removed)),
        ],
        copied_and_removed,
        totals.into_iter().filter(|_| is_complete(report)).collect(),
    ];
    let counts = all.concat();
    let requests = [
        count("list", "LIST requests", Some(requests.list)),
        count("get", "GET requests", Some(requests.get)),
        count("put", "PUT requests", Some(requests.put)),
        count("copy", "COPY requests", Some(requests.copy)),
        count("delete", "DELETE requests", Some(requests.delete)),
        count("head", "HEAD requests", Some(requests.head)),
    ];
    html! {
        div.columns {
            (count_table("counts", "Counts", &counts))
            (count_table("requests", "Store requests", &requests))
        }
    }
}

/// The name, the label and the value of a count.
type LabeledCount = (&'static str, String, Option<u64>);

fn count(name: &'static str, label: &str, value: Option<u64>) -> LabeledCount {
    (name, label.to_owned(), value)
}

/// The counts of the files of rows, in three groups; empty if the dataset has no files.
fn file_counts(counts: &Counts, dataset: &Dataset, read: Option<u64>) -> [Vec<LabeledCount>; 3] {
    let Some([_, files]) = labels::files_in_sentence(dataset) else {
        return [const { Vec::new() }; 3];
    };
    let files = capitalized(&files);
    let count = |name, action: &str, value| count(name, &format!("{files} {action}"), value);
    [
        vec![count("images_listed", "listed", Some(counts.images_listed))],
        vec![count("images_read", "read", read)],
        vec![
            count("images_copied", "copied", Some(counts.images_copied)),
            count("images_removed", "deleted", Some(counts.images_removed)),
        ],
    ]
}

fn count_table(id: &str, title: &str, counts: &[LabeledCount]) -> Markup {
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
