//! Statistics of rows: counts, and the average, the median, the extremes and the distribution of numbers.

use datalake_core::{
    calendar::Ages,
    count::count,
    dataset::{ColumnType, Dataset, Value, ValueRef},
    query::column::Column,
    row::{Cell, RowView},
};

use crate::memory::day_counts::SelectionCounts;

/// The distribution of a column is part of the statistics up to this number of different values: more cannot be shown.
const DISTINCT_MAX: usize = 1_000;

/// Statistics of some rows. Rows without a value in a column are counted, but are not part of the column's statistics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// The number of rows.
    pub count: u64,
    /// The number of rows with each file, in the order of the declaration.
    pub with_files: Vec<u64>,
    /// The columns with statistics, in the order of [`Dataset::stats`].
    pub columns: Vec<ColumnStatistics>,
}

/// The statistics of the values of one column. None without a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnStatistics {
    /// The mean.
    pub average: Option<f64>,
    /// The minimum: an integer or a number.
    pub least: Option<Value>,
    /// The maximum: an integer or a number.
    pub greatest: Option<Value>,
    /// The middle value, or the mean of the two middle values.
    pub median: Option<f64>,
    /// The number of rows of each value, ascending, without values of no row. None if the values are not integers, or if there are more than
    /// 1,000.
    pub by_value: Option<Vec<(i64, u64)>>,
}

impl Statistics {
    /// The statistics of a dataset whose only numbers are the counted years, and that has at most one file. None for other datasets.
    pub(crate) fn of_counts(dataset: &Dataset, counts: &dyn Fn() -> SelectionCounts) -> Option<Self> {
        if !Self::is_counted(dataset) {
            return None;
        }
        let SelectionCounts {
            count,
            with_file,
            by_years,
        } = counts();
        Some(Self {
            count,
            with_files: dataset.files().iter().map(|_| with_file).collect(),
            columns: dataset
                .stats()
                .iter()
                .map(|_| ColumnStatistics::of_integers(by_years.clone()))
                .collect(),
        })
    }

    /// Whether the statistics follow from the counts that readers keep.
    pub(crate) fn is_counted(dataset: &Dataset) -> bool {
        let years = dataset.counted_years().map(|years| &dataset.derived()[years.derived].name);
        dataset.files().len() <= 1 && dataset.stats().iter().all(|name| Some(name) == years)
    }

    /// The statistics of rows, which are all read.
    pub(crate) fn scan<'a>(dataset: &Dataset, rows: impl Iterator<Item = RowView<'a>>, ages: Ages) -> Self {
        let columns = dataset.stats().iter().filter_map(|name| Column::named(dataset, name));
        let mut values: Vec<(Column, Numbers)> = columns.map(|column| (column, Numbers::of(dataset, column))).collect();
        let mut statistics = Self {
            with_files: vec![0; dataset.files().len()],
            ..Self::default()
        };
        for row in rows {
            statistics.count += 1;
            for (file, with_file) in statistics.with_files.iter_mut().enumerate() {
                *with_file += u64::from(row.has_file(file));
            }
            for (column, numbers) in &mut values {
                numbers.push(row.cell(*column, ages));
            }
        }
        statistics.columns = values.into_iter().map(|(_, numbers)| numbers.sorted().statistics()).collect();
        statistics
    }
}

/// The values of a column.
#[derive(Debug)]
pub(crate) enum Numbers {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
}

/// The sorted values of a column.
#[derive(Debug)]
pub(crate) enum SortedNumbers {
    /// Each integer with the number of its rows.
    Integers(Vec<(i64, u64)>),
    Floats(Vec<f64>),
}

impl Numbers {
    /// No values of a column yet.
    pub(crate) fn of(dataset: &Dataset, column: Column) -> Self {
        match column.column_type(dataset) {
            ColumnType::Number => Self::Floats(Vec::new()),
            _ => Self::Integers(Vec::new()),
        }
    }

    pub(crate) fn push(&mut self, cell: Option<Cell<'_>>) {
        match (self, cell) {
            (Self::Integers(integers), Some(Cell::Value(ValueRef::Integer(number)))) => integers.push(number),
            (Self::Floats(floats), Some(Cell::Value(ValueRef::Number(number)))) => floats.push(number),
            _ => {}
        }
    }

    pub(crate) fn sorted(self) -> SortedNumbers {
        match self {
            Self::Floats(mut floats) => {
                floats.sort_unstable_by(f64::total_cmp);
                SortedNumbers::Floats(floats)
            }
            Self::Integers(mut integers) => {
                integers.sort_unstable();
                let groups = integers.chunk_by(|left, right| left == right);
                SortedNumbers::Integers(groups.map(|group| (group[0], count(group.len()))).collect())
            }
        }
    }
}

impl SortedNumbers {
    /// The values of both.
    pub(crate) fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Integers(mut integers), Self::Integers(others)) => {
                integers.extend(others);
                // A stable sort is fast, because each part is already sorted.
                integers.sort_by_key(|(value, _)| *value);
                integers.dedup_by(|later, kept| {
                    let is_same = later.0 == kept.0;
                    if is_same {
                        kept.1 += later.1;
                    }
                    is_same
                });
                Self::Integers(integers)
            }
            (Self::Floats(mut floats), Self::Floats(others)) => {
                floats.extend(others);
                floats.sort_by(f64::total_cmp);
                Self::Floats(floats)
            }
            // The values of one column have one type.
            (own, _) => own,
        }
    }

    pub(crate) fn statistics(self) -> ColumnStatistics {
        match self {
            Self::Integers(by_value) => ColumnStatistics::of_integers(by_value),
            Self::Floats(values) => ColumnStatistics::of_floats(&values),
        }
    }
}

impl ColumnStatistics {
    /// The statistics of integers, which are given by ascending value with the number of their rows.
    fn of_integers(by_value: Vec<(i64, u64)>) -> Self {
        let rows: u64 = by_value.iter().map(|(_, rows)| rows).sum();
        let sum: i128 = by_value.iter().map(|(value, rows)| i128::from(*value) * i128::from(*rows)).sum();
        let at_rank = |rank: u64| {
            let mut before = 0;
            let has_rank = |(_, rows): &&(i64, u64)| {
                before += rows;
                before > rank
            };
            by_value.iter().find(has_rank).map(|(value, _)| float(i128::from(*value)))
        };
        Self {
            average: (rows > 0).then(|| float(sum) / float(i128::from(rows))),
            least: by_value.first().map(|(value, _)| Value::Integer(*value)),
            greatest: by_value.last().map(|(value, _)| Value::Integer(*value)),
            median: rows
                .checked_sub(1)
                .and_then(|last| Some(f64::midpoint(at_rank(last / 2)?, at_rank(rows / 2)?))),
            by_value: Some(by_value).filter(|by_value| by_value.len() <= DISTINCT_MAX),
        }
    }

    /// The statistics of floats, which ascend and have no distribution. The average does not depend on the order of the rows.
    fn of_floats(values: &[f64]) -> Self {
        let (Some(least), Some(greatest)) = (values.first().copied(), values.last().copied()) else {
            return Self::default();
        };
        let middle = values.len() / 2;
        let low = if values.len().is_multiple_of(2) { middle - 1 } else { middle };
        let rows = float(i128::from(count(values.len())));
        let average = match values.iter().sum::<f64>() {
            sum if sum.is_finite() => sum / rows,
            // The sum is no float, but that of the shares is. Rounding errors may add up to more than any value.
            _ => values.iter().map(|value| value / rows).sum::<f64>().clamp(least, greatest),
        };
        Self {
            average: Some(average),
            least: Some(Value::Number(least)),
            greatest: Some(Value::Number(greatest)),
            median: Some(f64::midpoint(values[low], values[middle])),
            by_value: None,
        }
    }
}

/// The nearest floating-point number. Converts parts of 32 bits, because the only lossy conversion of the language is a cast, which lints
/// forbid.
fn float(number: i128) -> f64 {
    const PART: f64 = 4_294_967_296.0;
    let magnitude = number.unsigned_abs();
    let part = |shift: u32| f64::from(u32::try_from(magnitude >> shift & u128::from(u32::MAX)).unwrap_or(u32::MAX));
    let value = match u64::try_from(magnitude) {
        Ok(_) => part(32).mul_add(PART, part(0)),
        Err(_) => part(96)
            .mul_add(PART, part(64))
            .mul_add(PART * PART, part(32).mul_add(PART, part(0))),
    };
    if number < 0 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_an_average_and_a_median() {
        let floats = ColumnStatistics::of_floats(&[-1.0, 1.5, 2.5, 3.0]);
        assert_eq!((floats.average, floats.median), (Some(1.5), Some(2.0)));
        assert_eq!(
            (floats.least, floats.greatest),
            (Some(Value::Number(-1.0)), Some(Value::Number(3.0)))
        );
        let large = [1e308, 1.2e308];
        assert_eq!(ColumnStatistics::of_floats(&large).average, Some(f64::midpoint(large[0], large[1])));
        let greatest = [f64::MAX; 7];
        assert_eq!(ColumnStatistics::of_floats(&greatest).average, Some(f64::MAX));
        let integers = ColumnStatistics::of_integers(vec![(-3, 1), (5, 2)]);
        assert_eq!((integers.average, integers.median), (Some(7.0 / 3.0), Some(5.0)));
        assert_eq!(ColumnStatistics::of_integers(Vec::new()).average, None);
        assert_eq!(ColumnStatistics::of_floats(&[]), ColumnStatistics::default());
    }

    #[test]
    fn distribution_of_many_values_is_omitted() {
        let of = |distinct: i64| ColumnStatistics::of_integers((0..distinct).map(|value| (value, 1)).collect());
        assert!(of(1_000).by_value.is_some());
        assert_eq!(of(1_001).by_value, None);
    }

    proptest! {
        #[test]
        fn float_is_the_nearest_number(number in any::<i64>()) {
            let expected: f64 = number.to_string().parse().unwrap();
            prop_assert_eq!(float(number.into()).to_bits(), expected.to_bits());
        }
    }
}
