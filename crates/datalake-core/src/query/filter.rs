//! Filters: which rows `/data` and `/stats` return. Independent of how rows are stored.

use std::ops::RangeInclusive;

use crate::{
    calendar::{Ages, Day, last_birth_day},
    dataset::Dataset,
    query::{
        column::Column,
        condition::{Comparison, Condition},
    },
    row::RowView,
};

/// A bound of completed years. With and without a value it means different things, so these are different variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum YearsBound {
    /// Without a value: the least or the most years among the rows that match all other filters.
    Extreme,
    /// An inclusive bound in completed years.
    Years(u16),
}

/// Whether rows have a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFilter {
    /// Rows with the file.
    With,
    /// Rows without the file.
    Without,
}

impl FileFilter {
    /// Whether a row with or without the file matches.
    #[inline]
    pub fn matches(self, has_file: bool) -> bool {
        has_file == (self == Self::With)
    }
}

/// The value of a column that a bound without a value selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// `min_X`
    Least,
    /// `max_X`
    Greatest,
}

/// A filter as parsed. The default matches every row.
///
/// Completed years and the first file have fields of their own, because readers keep counts of them
/// ([`crate::dataset::Dataset::counted_years`]). All other filters are conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// `is_FILE_exists` of the first file.
    pub file: Option<FileFilter>,
    /// The least completed years of the column that readers keep counts of.
    pub years_min: Option<YearsBound>,
    /// The most completed years of that column.
    pub years_max: Option<YearsBound>,
    /// Bounds without a value of other columns: a matching row has one of the extremes of each of these columns.
    pub extremes: Vec<(Column, Extreme)>,
    /// Conditions on columns; a matching row meets all of them.
    pub conditions: Vec<Condition>,
}

/// The days that a selection matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Days {
    /// Every row, including those without a day, and with a day after that of the query.
    Any,
    /// No, one or two ranges of days, in ascending order and disjoint.
    Ranges(Vec<RangeInclusive<Day>>),
}

/// A filter whose extremes are resolved: whether a row matches depends only on its own values.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Whether rows have the first file.
    pub file: Option<FileFilter>,
    /// The days of matching rows, in the column that completed years are derived from.
    pub days: Days,
    /// Conditions on columns; a matching row meets all of them.
    pub conditions: Vec<Condition>,
    /// Completed years on the day of the query.
    pub ages: Ages,
}

impl Selection {
    /// Whether the day and the first file of a row match. Without conditions on columns, this alone decides whether the row matches. The values
    /// are read only if the selection depends on them.
    #[inline]
    pub fn matches_counted(&self, day: impl FnOnce() -> Option<Day>, has_file: impl FnOnce() -> bool) -> bool {
        let by_day = || match &self.days {
            Days::Any => true,
            Days::Ranges(ranges) => day().is_some_and(|day| ranges.iter().any(|range| range.contains(&day))),
        };
        self.file.is_none_or(|file| file.matches(has_file())) && by_day()
    }

    /// Whether a row meets all conditions.
    pub fn matches_values(&self, row: &RowView<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(row, self.ages))
    }

    /// Whether a row matches.
    pub fn matches(&self, row: &RowView<'_>) -> bool {
        let day = || row.dataset().counted_years().and_then(|years| row.day(years.day));
        self.matches_counted(day, || row.has_file(0)) && self.matches_values(row)
    }

    /// The lower bound of the IDs of matching rows, if any.
    pub fn least_id(&self) -> Option<&str> {
        let bounds = self.conditions.iter().filter_map(Condition::on_id);
        let least =
            bounds.filter(|(comparison, _)| matches!(comparison, Comparison::Equal | Comparison::Greater | Comparison::GreaterOrEqual));
        least.map(|(_, row_id)| row_id).max()
    }

    /// The upper bound of the IDs of matching rows, if any.
    pub fn greatest_id(&self) -> Option<&str> {
        let bounds = self.conditions.iter().filter_map(Condition::on_id);
        let greatest =
            bounds.filter(|(comparison, _)| matches!(comparison, Comparison::Equal | Comparison::Less | Comparison::LessOrEqual));
        greatest.map(|(_, row_id)| row_id).min()
    }

    /// Whether every row between the lower and the upper bound matches. The rows at the bounds themselves may not match.
    pub fn is_range_of_ids(&self) -> bool {
        self.file.is_none() && self.days == Days::Any && are_bounds_of_ids(&self.conditions)
    }
}

fn are_bounds_of_ids(conditions: &[Condition]) -> bool {
    let is_bound = |condition: &Condition| {
        let on_id = condition.on_id();
        on_id.is_some_and(|(comparison, _)| comparison != Comparison::NotEqual)
    };
    conditions.iter().all(is_bound)
}

impl Filter {
    /// Whether the matching rows are a range of IDs, so the next one is found without reading others.
    pub fn is_range_of_ids(&self) -> bool {
        self.is_uncounted() && self.extremes.is_empty() && are_bounds_of_ids(&self.conditions)
    }

    fn is_uncounted(&self) -> bool {
        self.file.is_none() && self.years_min.is_none() && self.years_max.is_none()
    }

    /// Whether the matching rows depend on the day of the query.
    pub(crate) fn depends_on_today(&self, dataset: &Dataset) -> bool {
        self.years_min.is_some()
            || self.years_max.is_some()
            || self.extremes.iter().any(|(column, _)| column.depends_on_today(dataset))
            || self.conditions.iter().any(Condition::depends_on_today)
    }

    /// The filter without its bounds that have no value: extremes are those of the rows that match it.
    #[must_use]
    pub fn without_extremes(&self) -> Self {
        let with_value = |bound: Option<YearsBound>| bound.filter(|bound| *bound != YearsBound::Extreme);
        Self {
            years_min: with_value(self.years_min),
            years_max: with_value(self.years_max),
            extremes: Vec::new(),
            ..self.clone()
        }
    }

    /// Converts completed years on the day `on` into days, apart from [`Filter::extremes`].
    ///
    /// `extremes` returns the earliest and the latest day among the rows that match a selection. Rows without a day, or with a day after `on`,
    /// have no completed years and match no bound of them.
    pub fn resolve(&self, on: Day, extremes: impl FnOnce(&Selection) -> Option<(Day, Day)>) -> Selection {
        let selection = |days| Selection {
            file: self.file,
            days,
            conditions: self.conditions.clone(),
            ages: Ages::on(on),
        };
        let (years_min, years_max) = match (self.years_min, self.years_max) {
            (None, None) => return selection(Days::Any),
            bounds => bounds,
        };
        let years = |bound| match bound {
            Some(YearsBound::Years(years)) => Some(years),
            Some(YearsBound::Extreme) | None => None,
        };
        let Some(remaining) = days_for_years(years(years_min).unwrap_or(0), years(years_max), on) else {
            return selection(Days::Ranges(Vec::new()));
        };
        let remaining = selection(Days::Ranges(vec![remaining]));
        let (latest_days, earliest_days) = (years_min == Some(YearsBound::Extreme), years_max == Some(YearsBound::Extreme));
        if !latest_days && !earliest_days {
            return remaining;
        }
        let Some((earliest, latest)) = extremes(&remaining) else {
            return selection(Days::Ranges(Vec::new()));
        };
        // All rows with the same years are tied, regardless of their day.
        let days_of_same_years = |day| {
            let years = remaining.ages.of(day)?.years();
            days_for_years(years, Some(years), on)
        };
        let mut ranges: Vec<_> = [earliest_days.then_some(earliest), latest_days.then_some(latest)]
            .into_iter()
            .flatten()
            .filter_map(days_of_same_years)
            .collect();
        ranges.dedup();
        selection(Days::Ranges(ranges))
    }
}

/// The days from which `at_least` to `at_most` years are completed on a day; none if there is no such day.
pub fn days_for_years(at_least: u16, at_most: Option<u16>, on: Day) -> Option<RangeInclusive<Day>> {
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
    use crate::{
        calendar::{Age, Day},
        dataset::Dataset,
        row::{Row, test_rows::user},
    };

    fn rows_of(births: &[(i64, bool)]) -> Vec<Row> {
        let row = |(number, (day, has_image)): (usize, &(i64, bool))| {
            let first_name = if *has_image { "Ann" } else { "Bob" };
            user(&format!("{number:02}"), [first_name, "Lee"], day * 86_400_000, *has_image)
        };
        births.iter().enumerate().map(row).collect()
    }

    fn day_of(row: &RowView<'_>) -> Day {
        row.day(3).expect("every user has a birth time")
    }

    /// A second formulation of the contract: compares the ages of all rows.
    fn matching(filter: &Filter, on: Day, rows: &[RowView<'_>]) -> Vec<bool> {
        let ages = Ages::on(on);
        let age = |row: &RowView<'_>| ages.of(day_of(row)).map(Age::years);
        let by_values = |row: &&RowView<'_>| {
            let years = |bound, holds: fn(u16, u16) -> bool| match bound {
                Some(YearsBound::Years(years)) => age(row).is_some_and(|age| holds(age, years)),
                Some(YearsBound::Extreme) => age(row).is_some(),
                None => true,
            };
            filter.file.is_none_or(|image| image.matches(row.has_file(0)))
                && years(filter.years_min, |age, years| age >= years)
                && years(filter.years_max, |age, years| age <= years)
                && filter.conditions.iter().all(|condition| condition.holds(row, ages))
        };
        let left: Vec<_> = rows.iter().filter(by_values).filter_map(age).collect();
        let extreme = |bound, found: Option<u16>| (bound == Some(YearsBound::Extreme)).then_some(found).flatten();
        let wanted = [
            extreme(filter.years_min, left.iter().min().copied()),
            extreme(filter.years_max, left.iter().max().copied()),
        ];
        let asks_extreme = [filter.years_min, filter.years_max].contains(&Some(YearsBound::Extreme));
        rows.iter()
            .map(|row| by_values(&row) && (!asks_extreme || wanted.iter().flatten().any(|years| age(row) == Some(*years))))
            .collect()
    }

    fn bounds() -> impl Strategy<Value = Option<YearsBound>> {
        prop_oneof![
            Just(None),
            Just(Some(YearsBound::Extreme)),
            (0..120_u16).prop_map(|years| Some(YearsBound::Years(years)))
        ]
    }

    fn conditions() -> impl Strategy<Value = Vec<Condition>> {
        let condition = |(name, value)| Condition::parse(Dataset::users(), name, value).unwrap().unwrap();
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
            image in prop::option::of(prop_oneof![Just(FileFilter::With), Just(FileFilter::Without)]),
            years_min in bounds(),
            years_max in bounds(),
            conditions in conditions(),
            on in -30_000..21_000_i32,
        ) {
            let on = Day::from_number(on).unwrap();
            let rows = rows_of(&births);
            let rows: Vec<_> = rows.iter().map(|row| row.view(Dataset::users())).collect();
            let filter = Filter { file: image, years_min, years_max, conditions, ..Filter::default() };
            let selection = filter.resolve(on, |left| {
                let days: Vec<_> = rows.iter().filter(|row| left.matches(row)).map(day_of).collect();
                Some((*days.iter().min()?, *days.iter().max()?))
            });
            let selected: Vec<_> = rows.iter().map(|row| selection.matches(row)).collect();
            prop_assert_eq!(&selected, &matching(&filter, on, &rows));
            for row in rows.iter().filter(|row| selection.matches(row)) {
                prop_assert!(selection.least_id().is_none_or(|least| least <= row.row_id));
                prop_assert!(selection.greatest_id().is_none_or(|greatest| greatest >= row.row_id));
            }
            if selection.is_range_of_ids() {
                let within = |row: &&RowView<'_>| {
                    selection.least_id().is_none_or(|least| least < row.row_id)
                        && selection.greatest_id().is_none_or(|greatest| greatest > row.row_id)
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
        let conditions = conditions.map(|(name, value)| Condition::parse(Dataset::users(), name, value).unwrap().unwrap());
        let filter = Filter {
            conditions: conditions.into(),
            ..Filter::default()
        };
        let selection = filter.resolve(on, |_| None);
        assert_eq!((selection.least_id(), selection.greatest_id()), (Some("b"), Some("y")));
        let all = Filter::default().resolve(on, |_| None);
        assert_eq!((all.least_id(), all.greatest_id()), (None, None));
    }
}
