//! The statistics at the top of the overview.

use datalake_core::{
    dataset::Value,
    query::filter::{FileFilter, Filter},
    user::Day,
};
use datalake_table::memory::{snapshot::Snapshot, statistics::Statistics};
use jiff::Timestamp;
use maud::{Markup, html};

use crate::{
    components::format::{number, relative_time},
    overview::trends::Trends,
    page::{lake_status::LakeStatus, links},
};

/// Statistics of the latest version.
pub(crate) struct LakeStatistics {
    version: u64,
    committed_at: Timestamp,
    pub(crate) all: Statistics,
    pub(crate) with_image: Statistics,
    rejected: usize,
    ignored: usize,
}

impl LakeStatistics {
    /// Computed from sums per day of birth, so the time does not depend on the number of rows.
    pub(crate) fn of(snapshot: &Snapshot, on: Day) -> Self {
        let statistics = |file| {
            let filter = Filter { file, ..Filter::default() };
            snapshot.statistics(&snapshot.select(&filter, on))
        };
        Self {
            version: snapshot.version().number(),
            committed_at: snapshot.version().committed_at(),
            all: statistics(None),
            with_image: statistics(Some(FileFilter::With)),
            rejected: snapshot.rejected_count(),
            ignored: snapshot.ignored_count(),
        }
    }
}

/// The number of users of each age, ascending.
pub(super) fn by_age(statistics: &Statistics) -> Vec<(u16, u64)> {
    let by_years = statistics
        .columns
        .first()
        .and_then(|ages| ages.by_value.as_deref())
        .unwrap_or_default();
    by_years
        .iter()
        .filter_map(|(years, users)| Some((u16::try_from(*years).ok()?, *users)))
        .collect()
}

pub(super) fn markup(statistics: &LakeStatistics, trends: &Trends, lake: &LakeStatus, now: Timestamp) -> Markup {
    let LakeStatistics { all, .. } = statistics;
    let ages = all.columns.first().cloned().unwrap_or_default();
    let (with_image, average) = (all.with_files.iter().sum(), ages.average);
    let average = average.map_or("–".to_owned(), |years| format!("{years:.1}"));
    let share =
        |part: u64| html! { @if let Some(percent) = (part * 200 + all.count).checked_div(all.count * 2) { (percent) "% of users" } };
    let filtered = |filter: &str, label: &Markup| html! { a href={ (links::USERS) "?" (filter) } { (label) } };
    html! {
        dl.statistics {
            (statistic("users", "Users", &html! { a href=(links::USERS) { (number(all.count)) } }, &html! {
                @if let (Some(Value::Integer(min)), Some(Value::Integer(max))) = (ages.least, ages.greatest) {
                    (filtered("min_age", &html! { "youngest " (min) })) ", " (filtered("max_age", &html! { "oldest " (max) }))
                }
                (trends.users_sparkline())
            }))
            (statistic("with-image", "With image", &filtered("is_image_exists=True", &html! { (number(with_image)) }), &share(with_image)))
            (statistic("without-image", "Without image", &filtered("is_image_exists=False", &html! { (number(all.count - with_image)) }), &share(all.count - with_image)))
            (statistic("average-age", "Average age", &html! { (average) }, &html! {
                @if let Some(median) = ages.median { "median " (median) " years" }
            }))
            (statistic("data-age", "Last verified", &html! { (relative_time(lake.confirmed_at().unwrap_or(statistics.committed_at), now)) }, &html! {
                a href=(links::VERSIONS) { "version " (statistics.version) } ", published " (relative_time(statistics.committed_at, now))
            }))
            (statistic("rejects-open", "Rejected sources", &html! { a href=(links::REJECTS) { (number(statistics.rejected)) } }, &html! {
                @if statistics.rejected > 0 { "last valid rows still served" } @else { "all sources accepted" }
                @if statistics.ignored > 0 { " · " (number(statistics.ignored)) " ignored" }
                (trends.rejects_sparkline())
            }))
        }
    }
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
