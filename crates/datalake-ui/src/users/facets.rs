//! The numbers of users that further filters would select.

use datalake_core::query::filter::Filter;
use maud::{Markup, html};

use crate::{
    components::format::number,
    page::{links, query::Query},
};
use datalake_api::rows::row_query::RowQuery;

/// Conditions on columns need a scan, which takes about 100 µs for this number of rows. Without conditions, the counts are sums per day of birth.
const ROWS_SCANNED_MAX: usize = 20_000;

/// Ages are counted by decade; in ranges of 20 years if there are more decades than this, so that the links do not take much of a page.
const RANGES_MAX: usize = 6;

/// The number of users for each value of a filter, among those that all other filters match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facets {
    pub(crate) with_image: u64,
    pub(crate) without_image: u64,
    /// The length of each range of ages.
    years: u16,
    /// The lowest age of each range with users, and their number.
    ages: Vec<(u16, u64)>,
}

impl Facets {
    /// None if they would take too long.
    pub(crate) fn of(row_query: &RowQuery) -> Option<Self> {
        let (snapshot, filter) = (&row_query.snapshot, &row_query.data_query.query.filter);
        if !filter.conditions.is_empty() && snapshot.len() > ROWS_SCANNED_MAX {
            return None;
        }
        let statistics = |filter: &Filter| snapshot.statistics(&snapshot.select(filter, row_query.day));
        let any_image = statistics(&Filter {
            file: None,
            ..filter.clone()
        });
        let any_age = statistics(&Filter {
            years_min: None,
            years_max: None,
            ..filter.clone()
        });
        let by_years = any_age
            .columns
            .first()
            .and_then(|years| years.by_value.as_deref())
            .unwrap_or_default();
        let decades = ranges(by_years, 10);
        let (years, ages) = match decades.len() {
            ..=RANGES_MAX => (10, decades),
            _ => (20, ranges(by_years, 20)),
        };
        Some(Self {
            with_image: any_image.with_files.iter().sum(),
            without_image: any_image.count - any_image.with_files.iter().sum::<u64>(),
            years,
            ages,
        })
    }

    /// A link for each range of ages.
    pub(crate) fn ages(&self, query: &Query) -> Markup {
        let until = |from: u16| from.saturating_add(self.years - 1);
        let href = |from: u16| {
            let others = query.without(&["min_age", "max_age"]);
            let filtered = others.with("min_age", &from.to_string()).with("max_age", &until(from).to_string());
            filtered.address(links::USERS)
        };
        html! {
            @if self.ages.len() > 1 {
                details.chip #age-facets {
                    summary { "Ages" }
                    ul.facets {
                        @for (from, users) in &self.ages {
                            li { a href=(href(*from)) { (from) "–" (until(*from)) } " " span.count { (number(users)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The ages in ranges, by ascending age.
fn ranges(by_age: &[(i64, u64)], years: u16) -> Vec<(u16, u64)> {
    let mut ranges: Vec<(u16, u64)> = Vec::new();
    for (age, users) in by_age {
        let age = u16::try_from(*age).unwrap_or(u16::MAX);
        let from = age / years * years;
        match ranges.last_mut() {
            Some((last, sum)) if *last == from => *sum += users,
            _ => ranges.push((from, *users)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_counted_in_ranges() {
        let by_age = [(9, 1), (10, 2), (19, 3), (40, 4)];
        assert_eq!(ranges(&by_age, 10), [(0, 1), (10, 5), (40, 4)]);
        assert_eq!(ranges(&by_age, 20), [(0, 6), (40, 4)]);
    }

    #[test]
    fn link_replaces_the_ages_and_keeps_the_other_filters() {
        let facets = Facets {
            years: 10,
            ages: vec![(20, 5), (30, 1_200)],
            ..Facets::default()
        };
        let text = facets.ages(&Query::new([("q", "a"), ("min_age", "")])).into_string();
        assert!(
            text.contains("href=\"/page/users?q=a&amp;min_age=20&amp;max_age=29\">20–29<"),
            "{text}"
        );
        assert!(text.contains("1,200"), "{text}");
    }
}
