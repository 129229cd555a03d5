//! The numbers at the top of the overview.

use datalake_core::{dataset::Value, query::filter::Filter, user::Day};
use datalake_table::memory::{snapshot::Snapshot, statistics::ColumnStatistics};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::format::{number, relative_time},
    declared::label,
    page::{lake_status::LakeStatus, links},
};

/// The statistics of the latest version.
pub(crate) fn markup(snapshot: &Snapshot, lake: &LakeStatus, now: Timestamp) -> Markup {
    let statistics = snapshot.statistics(&snapshot.select(&Filter::default(), Day::of(now)));
    let dataset = snapshot.dataset();
    let version = snapshot.version();
    let filtered = |filter: String, label: &Markup| html! { a href={ (links::USERS) "?" (filter) } { (label) } };
    html! {
        dl.statistics {
            (statistic("rows", dataset.title(), &html! { a href=(links::USERS) { (number(statistics.count)) } }, &html! {}))
            @for (file, with) in dataset.files().iter().zip(&statistics.with_files) {
                @let id = format!("with-{}", file.name);
                (statistic(&id, &format!("With {}", file.name), &filtered(format!("is_{}_exists=True", file.name), &html! { (number(*with)) }), &html! {
                    (filtered(format!("is_{}_exists=False", file.name), &html! { (number(statistics.count - with)) " without" }))
                }))
            }
            @for (name, column) in dataset.stats().iter().zip(&statistics.columns) {
                (statistic(&format!("average-{name}"), &format!("Average {}", label(name).to_lowercase()), &average(column), &html! {
                    @if let (Some(least), Some(greatest)) = (&column.least, &column.greatest) {
                        (filtered(format!("min_{name}"), &html! { (greatest_or_least("least ", least)) })) ", "
                        (filtered(format!("max_{name}"), &html! { (greatest_or_least("greatest ", greatest)) }))
                    }
                }))
            }
            (statistic("data-age", "Last verified", &html! { (relative_time(lake.confirmed_at().unwrap_or(version.committed_at()), now)) }, &html! {
                a href=(links::VERSIONS) { "version " (version.number()) } ", published " (relative_time(version.committed_at(), now))
            }))
            (statistic("rejects-open", "Rejected sources", &html! { a href=(links::REJECTS) { (number(snapshot.rejected_count())) } }, &html! {}))
        }
    }
}

fn average(column: &ColumnStatistics) -> Markup {
    html! { @match column.average { Some(average) => (format!("{average:.1}")), None => "–" } }
}

fn greatest_or_least(word: &str, value: &Value) -> Markup {
    html! { (word) (value) }
}

/// One number with its label and a note. Tests find it by `id`.
fn statistic(id: &str, label: &str, value: &Markup, note: &Markup) -> Markup {
    html! {
        div.statistic id=(id) {
            dt { (label) }
            dd.value { (value) }
            dd.note { (note) }
        }
    }
}
