//! Filters: which rows `/data` and `/stats` return. Independent of how rows are stored.

use std::ops::RangeInclusive;

use crate::{
    query::condition::{Comparison, Condition},
    row::RowView,
    user::{Ages, Day, last_birth_day},
};

/// The value of `min_age` or `max_age`. With and without a value they mean different things, so they are different variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeBound {
    /// Without a value: the minimum (`min_age`) or maximum (`max_age`) age among the rows that match all other filters.
    Extreme,
    /// An inclusive bound in completed years.
    Years(u16),
}

/// Whether rows have an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFilter {
    /// Rows with an image.
    With,
    /// Rows without an image.
    Without,
}

impl ImageFilter {
    /// Whether a row with or without an image matches.
    pub fn matches(self, has_image: bool) -> bool {
        has_image == (self == Self::With)
    }
}

/// A filter as parsed. The default matches every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `is_image_exists`
    pub image: Option<ImageFilter>,
    /// `min_age`
    pub min_age: Option<AgeBound>,
    /// `max_age`
    pub max_age: Option<AgeBound>,
    /// Conditions on columns; a matching row meets all of them.
    pub conditions: Vec<Condition>,
}

/// The births that a selection matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Births {
    /// Every birth, including those after the day on which ages are computed.
    Any,
    /// No, one or two ranges of days, in ascending order and disjoint.
    Days(Vec<RangeInclusive<Day>>),
}

/// A filter whose extreme ages are resolved: whether a row matches depends only on its own values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Whether rows have an image.
    pub image: Option<ImageFilter>,
    /// The days of birth of matching rows.
    pub births: Births,
    /// Conditions on columns; a matching row meets all of them.
    pub conditions: Vec<Condition>,
    /// Ages on the day of the query.
    pub ages: Ages,
}

impl Selection {
    /// Whether the birth and image of a row match. Without conditions on columns, this alone decides whether the
    /// row matches.
    pub fn matches_birth(&self, birth: Day, has_image: bool) -> bool {
        let by_birth = match &self.births {
            Births::Any => true,
            Births::Days(ranges) => ranges.iter().any(|range| range.contains(&birth)),
        };
        by_birth && self.image.is_none_or(|image| image.matches(has_image))
    }

    /// Whether a row meets all conditions.
    pub fn matches_values(&self, row: &RowView<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(row, self.ages))
    }

    /// Whether a row matches.
    pub fn matches(&self, row: &RowView<'_>) -> bool {
        self.matches_birth(row.birth.day(), row.has_image) && self.matches_values(row)
    }

    /// The lower bound of the user IDs of matching rows, if any.
    pub fn least_user_id(&self) -> Option<&str> {
        let bounds = self.conditions.iter().filter_map(Condition::on_user_id);
        let least =
            bounds.filter(|(comparison, _)| matches!(comparison, Comparison::Equal | Comparison::Greater | Comparison::GreaterOrEqual));
        least.map(|(_, user_id)| user_id).max()
    }

    /// The upper bound of the user IDs of matching rows, if any.
    pub fn greatest_user_id(&self) -> Option<&str> {
        let bounds = self.conditions.iter().filter_map(Condition::on_user_id);
        let greatest =
            bounds.filter(|(comparison, _)| matches!(comparison, Comparison::Equal | Comparison::Less | Comparison::LessOrEqual));
        greatest.map(|(_, user_id)| user_id).min()
    }

    /// Whether every row between the lower and the upper bound matches. The rows at the bounds themselves may not match.
    pub fn is_range_of_ids(&self) -> bool {
        self.image.is_none() && self.births == Births::Any && are_bounds_of_ids(&self.conditions)
    }
}

fn are_bounds_of_ids(conditions: &[Condition]) -> bool {
    let is_bound = |condition: &Condition| {
        let on_user_id = condition.on_user_id();
        on_user_id.is_some_and(|(comparison, _)| comparison != Comparison::NotEqual)
    };
    conditions.iter().all(is_bound)
}

impl Filter {
    /// Whether the matching rows are a range of user IDs, so that the next one is found without reading others.
    pub fn is_range_of_ids(&self) -> bool {
        self.image.is_none() && self.min_age.is_none() && self.max_age.is_none() && are_bounds_of_ids(&self.conditions)
    }

    /// Whether the matching rows depend on the day on which ages are computed.
    pub(crate) fn depends_on_today(&self) -> bool {
        self.min_age.is_some() || self.max_age.is_some() || self.conditions.iter().any(Condition::depends_on_today)
    }

    /// Converts ages on the day `on` into days of birth.
    ///
    /// `extremes` returns the earliest and the latest day of birth among the rows that match a selection. Users born after `on` have no age
    /// and match no age parameter.
    pub fn resolve(&self, on: Day, extremes: impl FnOnce(&Selection) -> Option<(Day, Day)>) -> Selection {
        let selection = |births| Selection {
            image: self.image,
            births,
            conditions: self.conditions.clone(),
            ages: Ages::on(on),
        };
        let (min_age, max_age) = match (self.min_age, self.max_age) {
            (None, None) => return selection(Births::Any),
            bounds => bounds,
        };
        let years = |bound| match bound {
            Some(AgeBound::Years(years)) => Some(years),
            Some(AgeBound::Extreme) | None => None,
        };
        let Some(remaining) = birth_days_for_ages(years(min_age).unwrap_or(0), years(max_age), on) else {
            return selection(Births::Days(Vec::new()));
        };
        let remaining = selection(Births::Days(vec![remaining]));
        let (youngest, oldest) = (min_age == Some(AgeBound::Extreme), max_age == Some(AgeBound::Extreme));
        if !youngest && !oldest {
            return remaining;
        }
        let Some((earliest, latest)) = extremes(&remaining) else {
            return selection(Births::Days(Vec::new()));
        };
        // All users of the same age in years are tied, regardless of their day of birth.
        let days_of_same_age = |birth| {
            let age = remaining.ages.of(birth)?.years();
            birth_days_for_ages(age, Some(age), on)
        };
        let mut ranges: Vec<_> = [oldest.then_some(earliest), youngest.then_some(latest)]
            .into_iter()
            .flatten()
            .filter_map(days_of_same_age)
            .collect();
        ranges.dedup();
        selection(Births::Days(ranges))
    }
}

/// The days of birth of users whose age on a day is from `at_least` to `at_most`; none if there is no such day.
pub fn birth_days_for_ages(at_least: u16, at_most: Option<u16>, on: Day) -> Option<RangeInclusive<Day>> {
    let last = last_birth_day(at_least, on)?;
    let too_old = at_most
        .and_then(|years| years.checked_add(1))
        .and_then(|years| last_birth_day(years, on));
    let first = match too_old {
        Some(day) => day.next()?,
        None => Day::FIRST,
    };
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::user::{Age, BirthTimestamp};

    fn rows_of<'a>(ids: &'a [String], births: &[(i64, bool)]) -> Vec<RowView<'a>> {
        let row = |(user_id, (day, has_image)): (&'a String, &(i64, bool))| RowView {
            user_id,
            first_name: if *has_image { "Ann" } else { "Bob" },
            last_name: "Lee",
            birth: BirthTimestamp::from_ms(day * 86_400_000).unwrap(),
            has_image: *has_image,
        };
        ids.iter().zip(births).map(row).collect()
    }

    /// A second formulation of the contract: compares the ages of all rows.
    fn matching(filter: &Filter, on: Day, rows: &[RowView<'_>]) -> Vec<bool> {
        let ages = Ages::on(on);
        let age = |row: &RowView<'_>| ages.of(row.birth.day()).map(Age::years);
        let by_values = |row: &&RowView<'_>| {
            let years = |bound, holds: fn(u16, u16) -> bool| match bound {
                Some(AgeBound::Years(years)) => age(row).is_some_and(|age| holds(age, years)),
                Some(AgeBound::Extreme) => age(row).is_some(),
                None => true,
            };
            filter.image.is_none_or(|image| image.matches(row.has_image))
                && years(filter.min_age, |age, years| age >= years)
                && years(filter.max_age, |age, years| age <= years)
                && filter.conditions.iter().all(|condition| condition.holds(row, ages))
        };
        let left: Vec<_> = rows.iter().filter(by_values).filter_map(age).collect();
        let extreme = |bound, found: Option<u16>| (bound == Some(AgeBound::Extreme)).then_some(found).flatten();
        let wanted = [
            extreme(filter.min_age, left.iter().min().copied()),
            extreme(filter.max_age, left.iter().max().copied()),
        ];
        let asks_extreme = [filter.min_age, filter.max_age].contains(&Some(AgeBound::Extreme));
        rows.iter()
            .map(|row| by_values(&row) && (!asks_extreme || wanted.iter().flatten().any(|years| age(row) == Some(*years))))
            .collect()
    }

    fn bounds() -> impl Strategy<Value = Option<AgeBound>> {
        prop_oneof![
            Just(None),
            Just(Some(AgeBound::Extreme)),
            (0..120_u16).prop_map(|years| Some(AgeBound::Years(years)))
        ]
    }

    fn conditions() -> impl Strategy<Value = Vec<Condition>> {
        let condition = |(name, value)| Condition::parse(name, value).unwrap().unwrap();
        let some = prop::sample::select(vec![
            ("user_id__gte", "05"),
            ("user_id__lt", "20"),
            ("first_name", "Ann"),
            ("age__not", "30"),
            ("birthts__gt", "0"),
        ]);
        prop::collection::vec(some.prop_map(condition), 0..3)
    }

    proptest! {
        #[test]
        fn selection_agrees_with_the_contract(
            births in prop::collection::vec((-45_000..21_000_i64, any::<bool>()), 0..30),
            image in prop::option::of(prop_oneof![Just(ImageFilter::With), Just(ImageFilter::Without)]),
            min_age in bounds(),
            max_age in bounds(),
            conditions in conditions(),
            on in -30_000..21_000_i64,
        ) {
            let on = BirthTimestamp::from_ms(on * 86_400_000).unwrap().day();
            let ids: Vec<_> = (0..births.len()).map(|number| format!("{number:02}")).collect();
            let rows = rows_of(&ids, &births);
            let filter = Filter { image, min_age, max_age, conditions };
            let selection = filter.resolve(on, |left| {
                let days: Vec<_> = rows.iter().filter(|row| left.matches(row)).map(|row| row.birth.day()).collect();
                Some((*days.iter().min()?, *days.iter().max()?))
            });
            let selected: Vec<_> = rows.iter().map(|row| selection.matches(row)).collect();
            prop_assert_eq!(&selected, &matching(&filter, on, &rows));
            for row in rows.iter().filter(|row| selection.matches(row)) {
                prop_assert!(selection.least_user_id().is_none_or(|least| least <= row.user_id));
                prop_assert!(selection.greatest_user_id().is_none_or(|greatest| greatest >= row.user_id));
            }
            if selection.is_range_of_ids() {
                let within = |row: &&RowView<'_>| {
                    selection.least_user_id().is_none_or(|least| least < row.user_id)
                        && selection.greatest_user_id().is_none_or(|greatest| greatest > row.user_id)
                };
                prop_assert!(rows.iter().filter(within).all(|row| selection.matches(row)));
            }
        }
    }

    #[test]
    fn conditions_on_user_id_bound_the_rows() {
        let on = Day::from_date(date(2026, 11, 24)).unwrap();
        let conditions = [
            ("user_id__gt", "b"),
            ("user_id__gte", "a"),
            ("user_id__lte", "y"),
            ("user_id__not", "z"),
        ];
        let conditions = conditions.map(|(name, value)| Condition::parse(name, value).unwrap().unwrap());
        let filter = Filter {
            conditions: conditions.into(),
            ..Filter::default()
        };
        let selection = filter.resolve(on, |_| None);
        assert_eq!((selection.least_user_id(), selection.greatest_user_id()), (Some("b"), Some("y")));
        let all = Filter::default().resolve(on, |_| None);
        assert_eq!((all.least_user_id(), all.greatest_user_id()), (None, None));
    }
}
