//! Counts by birth day and image, from which statistics and extremes are computed without a scan of the rows.

use std::ops::{Range, RangeInclusive};

use datalake_core::{
    query::filter::{Births, ImageFilter, Selection, birth_days_for_ages},
    user::{Age, Day},
};

/// The number of users born until the end of each day, with and without an image. Invariant: days ascend, and each has users.
///
/// These are prefix sums, so that the count of any range of days is the difference of two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BirthCounts(Vec<(Day, Counts)>);

/// The numbers of users without and with an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    without_image: u64,
    with_image: u64,
}

impl Counts {
    fn only(self, image: Option<ImageFilter>) -> Self {
        match image {
            None => self,
            Some(ImageFilter::With) => Self { without_image: 0, ..self },
            Some(ImageFilter::Without) => Self { with_image: 0, ..self },
        }
    }

    fn all(self) -> u64 {
        self.without_image + self.with_image
    }

    fn add(&mut self, other: Self) {
        self.without_image += other.without_image;
        self.with_image += other.with_image;
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            without_image: self.without_image - earlier.without_image,
            with_image: self.with_image - earlier.with_image,
        }
    }
}

/// Statistics of some rows. Users who were born after the query's date have no age: they are counted, but are not part of the statistics of
/// ages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// The number of rows.
    pub count: u64,
    /// The number of rows with an image.
    pub with_image: u64,
    /// The number of rows without an image.
    pub without_image: u64,
    /// The mean age in completed years. None if no user has an age.
    pub average_age: Option<f64>,
    /// The lowest age in completed years.
    pub min_age: Option<u16>,
    /// The highest age in completed years.
    pub max_age: Option<u16>,
    /// The median age.
    pub median_age: Option<f64>,
    /// The number of users of each age, by ascending age, without ages of no user.
    pub by_age: Vec<(u16, u64)>,
}

impl BirthCounts {
    /// Counts rows, which are given by birth day and whether they have an image, in any order.
    pub fn count(rows: impl Iterator<Item = (Day, bool)>) -> Self {
        let rows: Vec<_> = rows.collect();
        let days = rows.iter().map(|(day, _)| *day);
        let Some((first, last)) = days.clone().min().zip(days.max()) else {
            return Self::default();
        };
        // Users are born within a century or two, so that counting by day is several times as fast as sorting. The whole calendar takes 58
        // MB.
        let mut counted = vec![Counts::default(); first.days_until(last) + 1];
        for (day, has_image) in rows {
            let counts = &mut counted[first.days_until(day)];
            if has_image {
                counts.with_image += 1;
            } else {
                counts.without_image += 1;
            }
        }
        let days = std::iter::successors(Some(first), |day| day.next());
        Self::collect(days.zip(counted).filter(|(_, counts)| counts.all() > 0).collect())
    }

    /// The total of the counts of several parts.
    pub fn merge<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        Self::collect(parts.flat_map(Self::per_day).collect())
    }

    fn collect(mut counted: Vec<(Day, Counts)>) -> Self {
        // A stable sort is fast, because each part is already sorted.
        counted.sort_by_key(|(day, _)| *day);
        counted.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1.add(later.1);
            }
            same
        });
        counted.shrink_to_fit();
        let mut until = Counts::default();
        for (_, counts) in &mut counted {
            until.add(*counts);
            *counts = until;
        }
        Self(counted)
    }

    /// The counts of each single day.
    fn per_day(&self) -> impl Iterator<Item = (Day, Counts)> {
        let before = std::iter::once(Counts::default()).chain(self.0.iter().map(|(_, until)| *until));
        self.0.iter().zip(before).map(|((day, until), before)| (*day, until.since(before)))
    }

    /// The number of rows of a selection, without its conditions on values.
    pub fn count_of(&self, selection: &Selection) -> u64 {
        let counts = self.ranges(&selection.births).into_iter().map(|range| self.sum(&range));
        counts.map(|counts| counts.only(selection.image).all()).sum()
    }

    /// The earliest and the latest birth day of a selection, without its conditions on values.
    pub fn extremes(&self, selection: &Selection) -> Option<(Day, Day)> {
        let ranges = self.ranges(&selection.births);
        let extremes = ranges.iter().filter_map(|range| self.extremes_within(selection.image, range));
        extremes.reduce(|left, right| (left.0.min(right.0), left.1.max(right.1)))
    }

    /// The earliest and the latest birth day with or without an image, within a range of days.
    fn extremes_within(&self, image: Option<ImageFilter>, range: &Range<usize>) -> Option<(Day, Day)> {
        let before = self.until(range.start).only(image).all();
        let all = self.until(range.end).only(image).all();
        if before == all {
            return None;
        }
        let days = self.0.get(range.clone())?;
        let earliest = days.partition_point(|(_, until)| until.only(image).all() == before);
        let latest = days.partition_point(|(_, until)| until.only(image).all() < all);
        Some((days.get(earliest)?.0, days.get(latest)?.0))
    }

    /// The statistics of a selection, without its conditions on values.
    pub fn statistics(&self, selection: &Selection) -> Statistics {
        let mut statistics = Statistics::default();
        // Days ascend, so ages descend.
        for range in self.ranges(&selection.births) {
            let counts = self.sum(&range).only(selection.image);
            statistics.count += counts.all();
            statistics.with_image += counts.with_image;
            statistics.without_image += counts.without_image;
            self.count_ages(selection, &range, &mut statistics.by_age);
        }
        statistics.by_age.reverse();
        statistics.with_age_statistics()
    }

    /// Appends the ages of the users born within a range of days, the highest first. Takes one lookup per year of age, whatever the number
    /// of rows.
    fn count_ages(&self, selection: &Selection, range: &Range<usize>, by_age: &mut Vec<(u16, u64)>) {
        let on = selection.ages.day();
        let born = range.start..self.0.partition_point(|(day, _)| *day <= on).min(range.end);
        let Some((earliest, latest)) = self.extremes_within(selection.image, &born) else {
            return;
        };
        let age = |day| selection.ages.of(day).map(Age::years);
        let (Some(oldest), Some(youngest)) = (age(earliest), age(latest)) else {
            return;
        };
        for years in (youngest..=oldest).rev() {
            let Some(days) = birth_days_for_ages(years, Some(years), on) else {
                continue;
            };
            let aged = self.range(&days);
            let aged = aged.start.max(born.start)..aged.end.min(born.end);
            let users = self.sum(&aged).only(selection.image).all();
            if users > 0 {
                by_age.push((years, users));
            }
        }
    }

    fn ranges(&self, births: &Births) -> Vec<Range<usize>> {
        match births {
            Births::Any => std::iter::once(0..self.0.len()).collect(),
            Births::Days(ranges) => ranges.iter().map(|range| self.range(range)).collect(),
        }
    }

    fn range(&self, births: &RangeInclusive<Day>) -> Range<usize> {
        let start = self.0.partition_point(|(day, _)| day < births.start());
        let end = self.0.partition_point(|(day, _)| day <= births.end());
        start..end
    }

    /// The counts of the days before the one at `index`.
    fn until(&self, index: usize) -> Counts {
        index
            .checked_sub(1)
            .and_then(|before| self.0.get(before))
            .map(|(_, until)| *until)
            .unwrap_or_default()
    }

    fn sum(&self, range: &Range<usize>) -> Counts {
        if range.is_empty() {
            return Counts::default();
        }
        self.until(range.end).since(self.until(range.start))
    }
}

impl Statistics {
    /// Computes the statistics of ages from `by_age`.
    fn with_age_statistics(mut self) -> Self {
        let aged: u64 = self.by_age.iter().map(|(_, users)| users).sum();
        if aged == 0 {
            return self;
        }
        let years: u64 = self.by_age.iter().map(|(years, users)| u64::from(*years) * users).sum();
        self.average_age = Some(float(years) / float(aged));
        self.min_age = self.by_age.first().map(|(years, _)| *years);
        self.max_age = self.by_age.last().map(|(years, _)| *years);
        self.median_age = self
            .age_at((aged - 1) / 2)
            .zip(self.age_at(aged / 2))
            .map(|(low, high)| f64::midpoint(low, high));
        self
    }

    /// The age at `rank`, from 0, among the users sorted by age.
    fn age_at(&self, rank: u64) -> Option<f64> {
        let mut before = 0;
        let holds_rank = |(_, users): &&(u16, u64)| {
            before += users;
            before > rank
        };
        self.by_age.iter().find(holds_rank).map(|(years, _)| f64::from(*years))
    }
}

/// The nearest floating-point number. Converts the two halves, because the only lossy conversion of the language is a cast, which lints
/// forbid.
fn float(number: u64) -> f64 {
    const HALF: f64 = 4_294_967_296.0;
    let half = |bits: u64| f64::from(u32::try_from(bits).unwrap_or(u32::MAX));
    half(number >> 32).mul_add(HALF, half(number & u64::from(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use datalake_core::{
        query::filter::{AgeBound, Filter},
        user::BirthTimestamp,
    };
    use proptest::prelude::*;

    use super::*;

    fn day(number: i64) -> Day {
        BirthTimestamp::from_ms(number * 86_400_000).unwrap().day()
    }

    /// The statistics as the contract defines them, from a scan of the rows.
    fn scanned(rows: &[(Day, bool)], selection: &Selection) -> Statistics {
        let selected: Vec<_> = rows.iter().filter(|row| selection.matches_birth(row.0, row.1)).collect();
        let mut ages: Vec<u16> = selected.iter().filter_map(|row| selection.ages.of(row.0)).map(Age::years).collect();
        ages.sort_unstable();
        let count = |number: usize| u64::try_from(number).unwrap();
        let middle = ages.len() / 2;
        let mut by_age: Vec<(u16, u64)> = ages
            .iter()
            .map(|age| (*age, count(ages.iter().filter(|other| *other == age).count())))
            .collect();
        by_age.dedup();
        let sum: f64 = ages.iter().copied().map(f64::from).sum();
        Statistics {
            count: count(selected.len()),
            with_image: count(selected.iter().filter(|row| row.1).count()),
            without_image: count(selected.iter().filter(|row| !row.1).count()),
            average_age: (!ages.is_empty()).then(|| sum / f64::from(u32::try_from(ages.len()).unwrap())),
            min_age: ages.first().copied(),
            max_age: ages.last().copied(),
            median_age: (!ages.is_empty()).then(|| match ages.len() % 2 {
                0 => f64::midpoint(f64::from(ages[middle - 1]), f64::from(ages[middle])),
                _ => f64::from(ages[middle]),
            }),
            by_age,
        }
    }

    fn bounds() -> impl Strategy<Value = Option<AgeBound>> {
        prop_oneof![
            Just(None),
            Just(Some(AgeBound::Extreme)),
            (0..60_u16).prop_map(|years| Some(AgeBound::Years(years)))
        ]
    }

    proptest! {
        #[test]
        fn statistics_agree_with_a_scan(
            parts in prop::collection::vec(prop::collection::vec((0..22_000_i64, any::<bool>()), 0..40), 0..4),
            image in prop::option::of(prop_oneof![Just(ImageFilter::With), Just(ImageFilter::Without)]),
            min_age in bounds(),
            max_age in bounds(),
            on in 0..22_000_i64,
        ) {
            let parts: Vec<Vec<_>> = parts.into_iter().map(|part| part.into_iter().map(|(number, image)| (day(number), image)).collect()).collect();
            let counted: Vec<_> = parts.iter().map(|part| BirthCounts::count(part.iter().copied())).collect();
            let rows = parts.concat();
            let merged = BirthCounts::merge(counted.iter());
            let filter = Filter { image, min_age, max_age, ..Filter::default() };
            let selection = filter.resolve(day(on), |left| {
                let days: Vec<_> = rows.iter().filter(|row| left.matches_birth(row.0, row.1)).map(|row| row.0).collect();
                let expected = days.iter().min().copied().zip(days.iter().max().copied());
                assert_eq!(merged.extremes(left), expected);
                expected
            });
            let expected = scanned(&rows, &selection);
            prop_assert_eq!(merged.count_of(&selection), expected.count);
            prop_assert_eq!(merged.statistics(&selection), expected);
        }

        #[test]
        fn float_is_the_nearest_number(number in any::<u64>()) {
            let expected: f64 = number.to_string().parse().unwrap();
            prop_assert_eq!(float(number).to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn users_without_an_age_are_counted_only() {
        let all = Filter::default().resolve(day(0), |_| None);
        assert_eq!(BirthCounts::default().statistics(&all), Statistics::default());
        let unborn = BirthCounts::count([(day(1), true)].into_iter()).statistics(&all);
        let expected = Statistics {
            count: 1,
            with_image: 1,
            ..Statistics::default()
        };
        assert_eq!(unborn, expected);
    }
}
