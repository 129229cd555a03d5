//! The numbers of rows that further filters would select.

use datalake_core::{
    dataset::{Dataset, Value},
    query::{
        column::Column,
        filter::{FileFilter, Filter},
    },
};
use maud::{Markup, html};

use crate::{
    components::{format::number, labels},
    page::{links, query::Query},
    rows::form_fields,
};
use datalake_api::rows::row_query::RowQuery;

/// Conditions on columns need a scan, which takes about 100 µs for this number of rows. Without conditions, the counts are sums per day.
const ROWS_SCANNED_MAX: usize = 20_000;

/// Years are counted by ten; in ranges of 20 if there are more ranges than this, so that the links do not take much of a page.
const RANGES_MAX: usize = 6;

/// The number of rows for each value of a filter, among those that all other filters match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facets {
    /// The number of rows with and without the first file.
    pub(crate) with_file: Option<[u64; 2]>,
    /// The number of rows of each value of the first column with a choice.
    choice: Option<(Column, Vec<(Value, u64)>)>,
    years: Option<YearFacets>,
}

/// The number of rows in each range of years.
#[derive(Clone, Debug, PartialEq, Eq)]
struct YearFacets {
    column: Column,
    /// The length of each range.
    length: i64,
    /// The fewest years of each range with rows, and their number.
    ranges: Vec<(i64, u64)>,
}

impl Facets {
    /// Without the counts that would take too long.
    pub(crate) fn of(row_query: &RowQuery) -> Self {
        let (snapshot, filter) = (&row_query.snapshot, &row_query.data_query.query.filter);
        let dataset = snapshot.dataset();
        let are_few = snapshot.len() <= ROWS_SCANNED_MAX;
        let is_quick = are_few || filter.conditions.is_empty() && filter.extremes.is_empty();
        let count = |file| {
            let filter = Filter {
                file: Some(file),
                ..filter.clone()
            };
            snapshot.count(&snapshot.select(&filter, row_query.day))
        };
        let has_files = is_quick && !dataset.files().is_empty();
        let years = dataset.counted_years().filter(|_| is_quick).map(|years| {
            let others = Filter {
                years_min: None,
                years_max: None,
                ..filter.clone()
            };
            let counts = snapshot.count_by_years(&snapshot.select(&others, row_query.day));
            YearFacets::of(Column::Derived(years.derived), &counts)
        });
        // An extreme is one of the rows that the choice leaves, so that the counts of its other values would be wrong.
        let has_extremes = filter.without_extremes() != *filter;
        let choice = form_fields::choices(dataset).next().filter(|_| are_few && !has_extremes);
        let choice = choice.map(|column| {
            let mut others = filter.clone();
            others.conditions.retain(|condition| condition.column() != Some(column));
            let selection = snapshot.select(&others, row_query.day);
            (column, snapshot.count_by_category(&selection, column))
        });
        Self {
            with_file: has_files.then(|| [FileFilter::With, FileFilter::Without].map(count)),
            choice,
            years,
        }
    }

    /// The number of rows with a value of a column; none if it is not counted.
    pub(crate) fn of_value(&self, column: Column, value: &Value) -> Option<u64> {
        let (_, counts) = self.choice.as_ref().filter(|(counted, _)| *counted == column)?;
        counts.iter().find(|(counted, _)| counted == value).map(|(_, rows)| *rows)
    }

    /// A link for each range of years.
    pub(crate) fn years(&self, dataset: &Dataset, query: &Query) -> Markup {
        html! { @if let Some(years) = self.years.as_ref().filter(|years| years.ranges.len() > 1) { (years.links(dataset, query)) } }
    }
}

impl YearFacets {
    fn of(column: Column, by_years: &[(i64, u64)]) -> Self {
        let decades = ranges(by_years, 10);
        let (length, ranges) = match decades.len() {
            ..=RANGES_MAX => (10, decades),
            _ => (20, ranges(by_years, 20)),
        };
        Self { column, length, ranges }
    }

    fn links(&self, dataset: &Dataset, query: &Query) -> Markup {
        let until = |from: i64| from.saturating_add(self.length - 1);
        let [min, max] = form_fields::bounds(dataset, self.column);
        let href = |from: i64| {
            let others = query.without(&[&min, &max]);
            let filtered = others.with(&min, &from.to_string()).with(&max, &until(from).to_string());
            filtered.address(links::ROWS)
        };
        html! {
            details.chip id={ (labels::name(dataset, self.column)) "-facets" } {
                summary { (labels::column(dataset, self.column)) }
                ul.facets {
                    @for (from, rows) in &self.ranges {
                        li { a href=(href(*from)) { (from) "–" (until(*from)) } " " span.count { (number(rows)) } }
                    }
                }
            }
        }
    }
}

/// The years in ranges, ascending.
fn ranges(by_years: &[(i64, u64)], length: i64) -> Vec<(i64, u64)> {
    let mut ranges: Vec<(i64, u64)> = Vec::new();
    for (years, rows) in by_years {
        let from = years.div_euclid(length) * length;
        match ranges.last_mut() {
            Some((last, sum)) if *last == from => *sum += rows,
            _ => ranges.push((from, *rows)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_counted_in_ranges() {
        let by_years = [(9, 1), (10, 2), (19, 3), (40, 4)];
        assert_eq!(ranges(&by_years, 10), [(0, 1), (10, 5), (40, 4)]);
        assert_eq!(ranges(&by_years, 20), [(0, 6), (40, 4)]);
    }

    #[test]
    fn link_replaces_the_years_and_keeps_the_other_filters() {
        let facets = Facets {
            years: Some(YearFacets {
                column: Column::Derived(0),
                length: 10,
                ranges: vec![(20, 5), (30, 1_200)],
            }),
            ..Facets::default()
        };
        let text = facets
            .years(Dataset::users(), &Query::new([("q", "a"), ("min_age", "")]))
            .into_string();
        assert!(
            text.contains("href=\"/page/users?q=a&amp;min_age=20&amp;max_age=29\">20–29<"),
            "{text}"
        );
        assert!(text.contains("1,200"), "{text}");
    }
}
