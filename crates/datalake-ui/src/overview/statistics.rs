//! The statistics at the top of the overview.

use datalake_core::query::column::Column;
use datalake_table::memory::statistics::ColumnStatistics;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::{
        format::{number, relative_time},
        labels,
    },
    overview::{Rows, trends::Trends},
    page::{lake_status::LakeStatus, links},
};

/// Most columns whose average is shown.
const AVERAGES_MAX: usize = 8;

/// The statistics of the latest version.
pub(super) fn markup(rows: &Rows, trends: &Trends, lake: &LakeStatus, now: Timestamp) -> Markup {
    let Rows { snapshot, summary } = rows;
    let (dataset, version, statistics) = (snapshot.dataset(), snapshot.version(), &summary.statistics);
    let count = statistics.count;
    let share = |part: u64| {
        html! {
            @if let Some(percent) = (part * 200 + count).checked_div(count * 2) { (percent) "% of " (labels::rows(dataset)) }
        }
    };
    let columns = { dataset.stats().iter() }.filter_map(|name| Column::named(dataset, name));
    html! {
        dl.statistics {
            (statistic("users", dataset.title(), &html! { a href=(links::ROWS) { (number(count)) } }, &trends.rows_sparkline(dataset)))
            @for (file, with) in dataset.files().iter().zip(&statistics.with_files) {
                @let (name, parameter) = (labels::file_in_sentence(file), format!("is_{}_exists", file.name));
                @for (word, label, value, rows) in [("with", "With", "True", *with), ("without", "Without", "False", count - with)] {
                    (statistic(
                        &format!("{word}-{}", file.name),
                        &format!("{label} {name}"),
                        &filtered(&format!("{parameter}={value}"), &html! { (number(rows)) }),
                        &share(rows),
                    ))
                }
            }
            @for (column, values) in columns.zip(&statistics.columns).take(AVERAGES_MAX) {
                @let name = labels::name(dataset, column);
                (statistic(
                    &format!("average-{name}"),
                    &format!("Average {}", labels::column_in_sentence(dataset, column)),
                    &html! { (decimal(values.average)) },
                    &spread(name, values),
                ))
            }
            (statistic("data-age", "Last verified", &html! { (relative_time(lake.confirmed_at().unwrap_or(version.committed_at()), now)) }, &html! {
                a href=(links::VERSIONS) { "version " (version.number()) } ", published " (relative_time(version.committed_at(), now))
            }))
            (statistic("rejects-open", "Rejected sources", &html! { a href=(links::REJECTS) { (number(snapshot.rejected_count())) } }, &html! {
                @if snapshot.rejected_count() > 0 { "last valid rows, if any, are kept" } @else { "all sources accepted" }
                @if snapshot.ignored_count() > 0 { " · " (number(snapshot.ignored_count())) " ignored" }
                (trends.rejects_sparkline())
            }))
        }
    }
}

fn filtered(filter: &str, label: &Markup) -> Markup {
    html! { a href={ (links::ROWS) "?" (filter) } { (label) } }
}

/// The median, and links to the rows with the least and the greatest value.
fn spread(name: &str, values: &ColumnStatistics) -> Markup {
    html! {
        @if let Some(median) = values.median { "median " (decimal(Some(median)).trim_end_matches(".0")) }
        @if let (Some(least), Some(greatest)) = (&values.least, &values.greatest) {
            ", " (filtered(&format!("min_{name}"), &html! { "lowest " (least) }))
            ", " (filtered(&format!("max_{name}"), &html! { "highest " (greatest) }))
        }
    }
}

/// A number with one decimal, or with as many as a small number needs to be right to a twentieth.
fn decimal(number: Option<f64>) -> String {
    const DECIMALS_MAX: usize = 12;
    let Some(number) = number.filter(|number| number.is_finite()) else {
        return "–".to_owned();
    };
    let rounded = (1..=DECIMALS_MAX).map(|decimals| format!("{number:.decimals$}"));
    let is_close = |text: &String| {
        text.parse::<f64>()
            .is_ok_and(|rounded| (rounded - number).abs() <= number.abs() / 20.0)
    };
    { rounded }.find(is_close).unwrap_or_else(|| format!("{number:e}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_have_as_many_decimals_as_needed() {
        let texts = [33.5, 1_234.0, 0.0, -0.014, 1e-30].map(|number| decimal(Some(number)));
        assert_eq!(texts, ["33.5", "1234.0", "0.0", "-0.014", "1e-30"]);
        assert_eq!([None, Some(f64::INFINITY), Some(f64::NAN)].map(decimal), ["–"; 3]);
    }
}
