//! The summary of all rows of a snapshot: statistics, histograms of numbers, and counts of categories. Computed once for each day, because it may
//! need a scan of all rows.

use std::{cmp::Ordering, sync::Arc};

use datalake_core::{
    calendar::Day,
    count::count,
    dataset::{DerivedFunction, Value},
    query::{
        column::Column,
        filter::{FileFilter, Filter, Selection},
    },
    row::Cell,
};
use parking_lot::Mutex;

use crate::memory::{
    distribution::{self, Bin},
    snapshot::Snapshot,
    statistics::{Numbers, SortedNumbers, Statistics},
};

/// Most distributions of a summary: more charts take minutes to read, and each may need a scan.
const DISTRIBUTIONS_MAX: usize = 4;

/// Most values of a category column in a summary.
const CATEGORIES_MAX: usize = 20;

/// The summary of all rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The statistics.
    pub statistics: Statistics,
    /// The distributions of the first columns with statistics.
    pub histograms: Vec<Histogram>,
    /// The distributions of the first columns with categories; together with the histograms at most four.
    pub categories: Vec<Categories>,
}

/// The distribution of a column with statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// The column.
    pub column: Column,
    /// The intervals, ascending.
    pub bins: Vec<Bin>,
}

/// The distribution of a column with few declared values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories {
    /// The column.
    pub column: Column,
    /// The values of rows with the number of their rows, the most frequent first; at most 20.
    pub values: Vec<(Value, u64)>,
    /// The number of rows with further values.
    pub others: u64,
}

/// The last summary of a snapshot, with its day if the summary depends on it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SummaryCache(Arc<Mutex<Option<CachedSummary>>>);

type CachedSummary = (Option<Day>, Arc<Summary>);

impl Snapshot {
    /// The summary of all rows, with completed years on a day. Scans the rows unless [`Snapshot::is_summary_quick`].
    pub fn summary(&self, on: Day) -> Arc<Summary> {
        let day = self.day_of_summary(on);
        // Locked during the scan, so that others wait for its result instead of scanning, too.
        let mut cached = self.summary.0.lock();
        if let Some((_, summary)) = cached.as_ref().filter(|(cached, _)| *cached == day) {
            return Arc::clone(summary);
        }
        let summary = Arc::new(self.summarize(on));
        *cached = Some((day, Arc::clone(&summary)));
        summary
    }

    /// Whether [`Snapshot::summary`] returns at once.
    pub fn is_summary_quick(&self, on: Day) -> bool {
        let day = self.day_of_summary(on);
        let is_cached = || {
            self.summary
                .0
                .try_lock()
                .is_some_and(|cached| cached.as_ref().is_some_and(|(cached, _)| *cached == day))
        };
        self.is_empty() || self.is_counted(&Filter::default()) && self.category_columns().next().is_none() || is_cached()
    }

    /// The number of rows of a selection by completed years, ascending; empty for datasets without such a column. Scans rows only if the
    /// selection has conditions on values.
    pub fn count_by_years(&self, selection: &Selection) -> Vec<(i64, u64)> {
        match selection.conditions.is_empty() {
            true => self.days.counts_of(selection).by_years,
            false => self.scan(selection).counts_of(selection).by_years,
        }
    }

    /// The number of rows of a selection by the declared values of a column, ascending; empty for other columns. Scans the rows.
    pub fn count_by_category(&self, selection: &Selection, column: Column) -> Vec<(Value, u64)> {
        let values = column.categories(self.dataset()).unwrap_or_default();
        let mut counts: Vec<(Value, u64)> = values.into_iter().map(|value| (value, 0)).collect();
        counts.sort_by(|left, right| left.0.compare(&right.0).unwrap_or(Ordering::Equal));
        if counts.is_empty() {
            return counts;
        }
        for row in self.rows(selection) {
            let Some(Cell::Value(value)) = row.cell(column, selection.ages) else {
                continue;
            };
            let found = counts.binary_search_by(|(counted, _)| counted.as_ref().compare(value).unwrap_or(Ordering::Less));
            if let Some((_, rows)) = found.ok().and_then(|index| counts.get_mut(index)) {
                *rows += 1;
            }
        }
        counts
    }

    /// The day that distinguishes summaries; none if no column depends on it.
    fn day_of_summary(&self, on: Day) -> Option<Day> {
        let has_years = self
            .dataset()
            .derived()
            .iter()
            .any(|derived| derived.function == DerivedFunction::Years);
        has_years.then_some(on)
    }

    fn category_columns(&self) -> impl Iterator<Item = Column> {
        let dataset = self.dataset();
        Column::all(dataset).filter(move |column| column.categories(dataset).is_some())
    }

    fn summarize(&self, on: Day) -> Summary {
        let dataset = self.dataset();
        let all = self.select(&Filter::default(), on);
        let mut statistics = Statistics {
            count: count(self.len()),
            with_files: (0..dataset.files().len()).map(|file| self.count_with_file(&all, file)).collect(),
            columns: Vec::new(),
        };
        let mut histograms = Vec::new();
        for column in dataset.stats().iter().filter_map(|name| Column::named(dataset, name)) {
            let [with_file, without_file] = self.numbers_by_file(&all, column);
            if histograms.len() < DISTRIBUTIONS_MAX {
                let bins = distribution::bins(&with_file, &without_file);
                histograms.push(Histogram { column, bins });
            }
            statistics.columns.push(with_file.merge(without_file).statistics());
        }
        let columns = self.category_columns().take(DISTRIBUTIONS_MAX - histograms.len());
        let categories = columns.map(|column| Categories::of(column, self.count_by_category(&all, column)));
        Summary {
            statistics,
            categories: categories.collect(),
            histograms,
        }
    }

    fn count_with_file(&self, all: &Selection, file: usize) -> u64 {
        match file {
            0 => self.days.counts_of(all).with_file,
            _ => count(self.rows(all).filter(|row| row.has_file(file)).count()),
        }
    }

    /// The numbers of a column in the rows with and without the first file.
    fn numbers_by_file(&self, all: &Selection, column: Column) -> [SortedNumbers; 2] {
        let counted = self.dataset().counted_years().map(|years| Column::Derived(years.derived));
        if counted == Some(column) {
            return [FileFilter::With, FileFilter::Without].map(|file| {
                let file = Some(file);
                SortedNumbers::Integers(self.days.counts_of(&Selection { file, ..all.clone() }).by_years)
            });
        }
        let numbers = || Numbers::of(self.dataset(), column);
        let [mut with_file, mut without_file] = [numbers(), numbers()];
        for row in self.rows(all) {
            let numbers = if row.has_file(0) { &mut with_file } else { &mut without_file };
            numbers.push(row.cell(column, all.ages));
        }
        [with_file.sorted(), without_file.sorted()]
    }
}

impl Categories {
    fn of(column: Column, mut values: Vec<(Value, u64)>) -> Self {
        values.retain(|(_, rows)| *rows > 0);
        // Stable, so that equally frequent values stay in their order.
        values.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        let others = values.split_off(values.len().min(CATEGORIES_MAX));
        Self {
            column,
            values,
            others: others.iter().map(|(_, rows)| rows).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_frequent_categories_come_first() {
        let value = |number: i64| Value::Integer(number);
        let counts = (0..30).map(|number| (value(number), u64::from(number != 5) + u64::from(number == 7)));
        let categories = Categories::of(Column::KEY, counts.collect());
        assert_eq!(categories.values.len(), CATEGORIES_MAX);
        assert_eq!(categories.values[..3], [(value(7), 2), (value(0), 1), (value(1), 1)]);
        assert_eq!(categories.others, 9);
    }
}
