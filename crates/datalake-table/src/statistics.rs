//! Counts per day of birth and picture: what makes statistics and extremes cheap, whatever the number of rows.

use std::ops::RangeInclusive;

use datalake_core::{
    filter::{Births, ImageFilter, Selection},
    user::{Day, age_on},
};

/// How many users were born on each day, without and with a picture. By day; no day twice, none without users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BirthCounts(Vec<(Day, Counts)>);

/// The users of one day of birth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    without_image: u64,
    with_image: u64,
}

impl Counts {
    fn taken(self, image: Option<ImageFilter>) -> Self {
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
}

/// What is to be said of the ages of some rows. One born after the day of the question has no age: counted, and in no figure of ages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Rows.
    pub count: u64,
    /// Those with a picture.
    pub with_image: u64,
    /// Those without.
    pub without_image: u64,
    /// Mean of the completed years; none where nobody has an age.
    pub average_age: Option<f64>,
    /// Completed years of the youngest.
    pub min_age: Option<u16>,
    /// Completed years of the oldest.
    pub max_age: Option<u16>,
    /// The middle age, or the mean of the two middle ones.
    pub median_age: Option<f64>,
    /// Each age that somebody has, ascending, and how many have it.
    pub by_age: Vec<(u16, u64)>,
}

impl BirthCounts {
    /// Counts rows given by day of birth and whether there is a picture, in any order.
    pub fn count(rows: impl Iterator<Item = (Day, bool)>) -> Self {
        let one = |has_image: bool| Counts {
            without_image: u64::from(!has_image),
            with_image: u64::from(has_image),
        };
        Self::collect(rows.map(|(day, has_image)| (day, one(has_image))).collect())
    }

    /// The counts of all parts together.
    pub fn merge<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        Self::collect(parts.flat_map(|part| part.0.iter().copied()).collect())
    }

    fn collect(mut counted: Vec<(Day, Counts)>) -> Self {
        counted.sort_unstable_by_key(|(day, _)| *day);
        counted.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1.add(later.1);
            }
            same
        });
        counted.shrink_to_fit();
        Self(counted)
    }

    /// The earliest and the latest day of birth in a range among the rows with that picture filter.
    pub fn extremes(&self, image: Option<ImageFilter>, births: &RangeInclusive<Day>) -> Option<(Day, Day)> {
        let mut taken = self
            .within(births)
            .iter()
            .filter(|(_, counts)| counts.taken(image).all() > 0)
            .map(|(day, _)| *day);
        let earliest = taken.next()?;
        Some((earliest, taken.next_back().unwrap_or(earliest)))
    }

    /// The figures of the rows that a selection takes, on the day that ages are counted.
    pub fn statistics(&self, selection: &Selection, on: Day) -> Statistics {
        let mut statistics = Statistics::default();
        // Days ascend, so ages descend, and those without an age come last.
        for part in self.parts(&selection.births) {
            for (day, counts) in part {
                let counts = counts.taken(selection.image);
                statistics.count += counts.all();
                statistics.with_image += counts.with_image;
                statistics.without_image += counts.without_image;
                let Some(age) = age_on(*day, on).filter(|_| counts.all() > 0) else {
                    continue;
                };
                match statistics.by_age.last_mut() {
                    Some((years, users)) if *years == age.years() => *users += counts.all(),
                    _ => statistics.by_age.push((age.years(), counts.all())),
                }
            }
        }
        statistics.by_age.reverse();
        statistics.with_figures_of_ages()
    }

    fn parts<'a>(&'a self, births: &'a Births) -> Vec<&'a [(Day, Counts)]> {
        match births {
            Births::Any => vec![&self.0],
            Births::Days(ranges) => ranges.iter().map(|range| self.within(range)).collect(),
        }
    }

    fn within(&self, births: &RangeInclusive<Day>) -> &[(Day, Counts)] {
        let first = self.0.partition_point(|(day, _)| day < births.start());
        let end = self.0.partition_point(|(day, _)| day <= births.end());
        self.0.get(first..end).unwrap_or_default()
    }
}

impl Statistics {
    /// Fills in what follows from `by_age`.
    fn with_figures_of_ages(mut self) -> Self {
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

    /// The age of the one at `rank`, from 0, when those with an age stand in order of it.
    fn age_at(&self, rank: u64) -> Option<f64> {
        let mut before = 0;
        let holds_rank = |(_, users): &&(u16, u64)| {
            before += users;
            before > rank
        };
        self.by_age.iter().find(holds_rank).map(|(years, _)| f64::from(*years))
    }
}

/// The nearest floating-point number, by halves: the language has no lossy conversion but the casts that are not used here.
fn float(number: u64) -> f64 {
    const HALF: f64 = 4_294_967_296.0;
    let half = |bits: u64| f64::from(u32::try_from(bits).unwrap_or(u32::MAX));
    half(number >> 32).mul_add(HALF, half(number & u64::from(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use datalake_core::{
        filter::{AgeBound, Filter},
        user::{Age, BirthTimestamp},
    };
    use proptest::prelude::*;

    use super::*;

    fn day(number: i64) -> Day {
        BirthTimestamp::from_ms(number * 86_400_000).unwrap().day()
    }

    /// The figures as the contract words them, from the rows one by one.
    fn scanned(rows: &[(Day, bool)], selection: &Selection, on: Day) -> Statistics {
        let taken: Vec<_> = rows.iter().filter(|row| selection.takes(row.0, row.1)).collect();
        let mut ages: Vec<u16> = taken.iter().filter_map(|row| age_on(row.0, on)).map(Age::years).collect();
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
            count: count(taken.len()),
            with_image: count(taken.iter().filter(|row| row.1).count()),
            without_image: count(taken.iter().filter(|row| !row.1).count()),
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
        fn figures_agree_with_a_scan(
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
            let filter = Filter { image, min_age, max_age };
            let selection = filter.resolve(day(on), |image, births| {
                let left = rows.iter().filter(|row| births.contains(&row.0) && image.is_none_or(|image| image.takes(row.1)));
                let days: Vec<_> = left.map(|row| row.0).collect();
                let expected = days.iter().min().copied().zip(days.iter().max().copied());
                assert_eq!(merged.extremes(image, &births), expected);
                expected
            });
            prop_assert_eq!(merged.statistics(&selection, day(on)), scanned(&rows, &selection, day(on)));
        }

        #[test]
        fn floats_are_those_of_the_language(number in any::<u64>()) {
            let expected: f64 = number.to_string().parse().unwrap();
            prop_assert_eq!(float(number).to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn nobody_has_no_figures() {
        let all = Selection {
            image: None,
            births: Births::Any,
        };
        assert_eq!(BirthCounts::default().statistics(&all, day(0)), Statistics::default());
        let unborn = BirthCounts::count([(day(1), true)].into_iter()).statistics(&all, day(0));
        let expected = Statistics {
            count: 1,
            with_image: 1,
            ..Statistics::default()
        };
        assert_eq!(unborn, expected);
    }
}
