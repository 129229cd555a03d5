//! Distributions of numbers: how many rows have a value in each of a few intervals of round width.

use datalake_core::{count::count, dataset::Value};

use crate::memory::statistics::SortedNumbers;

/// Most intervals of a histogram: more columns of a chart are too narrow to see and to tap.
pub const BINS_MAX: usize = 25;

/// The rows with a value in an interval. Intervals ascend, and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bin {
    /// The start, which is part of the interval: an integer or a float.
    pub from: Value,
    /// The end. It is part of an interval of integers, but not of one of floats.
    pub to: Value,
    /// The number of rows with the first file.
    pub with_file: u64,
    /// The number of other rows.
    pub without_file: u64,
}

impl Bin {
    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.with_file + self.without_file
    }
}

/// The intervals from the least to the greatest value, of the least round width with which there are at most [`BINS_MAX`]. Those between them
/// may have no rows.
pub(crate) fn bins(with_file: &SortedNumbers, without_file: &SortedNumbers) -> Vec<Bin> {
    match (with_file, without_file) {
        (SortedNumbers::Integers(with_file), SortedNumbers::Integers(without_file)) => of_integers(with_file, without_file),
        (SortedNumbers::Floats(with_file), SortedNumbers::Floats(without_file)) => of_floats(with_file, without_file),
        // The values of one column have one type.
        (SortedNumbers::Integers(_), SortedNumbers::Floats(_)) | (SortedNumbers::Floats(_), SortedNumbers::Integers(_)) => Vec::new(),
    }
}

fn of_integers(with_file: &[(i64, u64)], without_file: &[(i64, u64)]) -> Vec<Bin> {
    let ends = |list: &[(i64, u64)]| Some((i128::from(list.first()?.0), i128::from(list.last()?.0)));
    let ends = [ends(with_file), ends(without_file)].into_iter().flatten();
    let Some((least, greatest)) = ends.reduce(|left, right| (left.0.min(right.0), left.1.max(right.1))) else {
        return Vec::new();
    };
    let bins_of = |width: i128| usize::try_from(greatest.div_euclid(width) - least.div_euclid(width) + 1);
    let widths = std::iter::successors(Some(1_i128), |power| power.checked_mul(10)).flat_map(|power| [power, 2 * power, 5 * power]);
    let Some(width) = { widths }.find(|width| bins_of(*width).is_ok_and(|bins| bins <= BINS_MAX)) else {
        return Vec::new();
    };
    let first = least.div_euclid(width);
    let within = |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
    let bin = |number: i128| Bin {
        from: Value::Integer(within(number * width)),
        to: Value::Integer(within((number + 1) * width - 1)),
        with_file: 0,
        without_file: 0,
    };
    let mut bins: Vec<Bin> = (first..=greatest.div_euclid(width)).map(bin).collect();
    let mut add = |list: &[(i64, u64)], count_of: fn(&mut Bin) -> &mut u64| {
        for (value, rows) in list {
            let index = usize::try_from(i128::from(*value).div_euclid(width) - first).ok();
            if let Some(bin) = index.and_then(|index| bins.get_mut(index)) {
                *count_of(bin) += rows;
            }
        }
    };
    add(with_file, |bin| &mut bin.with_file);
    add(without_file, |bin| &mut bin.without_file);
    bins
}

/// A round width of intervals: a digit, and a power of ten that it is multiplied or divided by, so that the bounds are the floats that are
/// nearest to short decimals.
#[derive(Clone, Copy)]
struct Width {
    digit: f64,
    power: f64,
    is_fraction: bool,
}

impl Width {
    /// The widths of at least a number, ascending.
    fn at_least(number: f64) -> impl Iterator<Item = Self> {
        /// Powers beyond it are no floats.
        const EXPONENT_MAX: i32 = 300;
        let exponent = format!("{number:e}")
            .split_once('e')
            .and_then(|(_, exponent)| exponent.parse().ok());
        let exponents = exponent.unwrap_or(EXPONENT_MAX).max(-EXPONENT_MAX)..EXPONENT_MAX;
        let widths = exponents.flat_map(|exponent| [1.0, 2.0, 5.0].map(|digit| (digit, exponent)));
        let widths = widths.map(|(digit, exponent)| Self {
            digit,
            // Parsed, because products of tens are rounded.
            power: format!("1e{}", exponent.abs()).parse().unwrap_or(f64::INFINITY),
            is_fraction: exponent < 0,
        });
        widths.filter(move |width| width.bound(1.0) >= number)
    }

    /// The start of the interval of this number.
    fn bound(self, number: f64) -> f64 {
        match self.is_fraction {
            true => number * self.digit / self.power,
            false => number * self.digit * self.power,
        }
    }
}

/// Both lists ascend, and one of them may be empty.
fn of_floats(with_file: &[f64], without_file: &[f64]) -> Vec<Bin> {
    let ends = |list: &[f64]| Some((*list.first()?, *list.last()?));
    let ends = [ends(with_file), ends(without_file)].into_iter().flatten();
    let Some((least, greatest)) = ends.reduce(|left, right| (left.0.min(right.0), left.1.max(right.1))) else {
        return Vec::new();
    };
    let span = match greatest - least {
        span if span > 0.0 => span,
        _ => greatest.abs().max(1.0),
    };
    let most = f64::from(u16::try_from(BINS_MAX).unwrap_or(u16::MAX));
    let has_few = |width: &Width| {
        let width = width.bound(1.0);
        // The quotients are rounded, so that there may be one interval more on both sides.
        // A width below the distance of neighboring floats has no intervals.
        (greatest / width).floor() - (least / width).floor() < most - 2.0 && greatest + width > greatest && least - width < least
    };
    let Some(width) = Width::at_least(span / most).find(has_few) else {
        return Vec::new();
    };
    let first = (least / width.bound(1.0)).floor() - 1.0;
    let bounds = std::iter::successors(Some(first), |number| Some(number + 1.0)).take(BINS_MAX + 1);
    let bounds: Vec<f64> = bounds.map(|number| width.bound(number)).collect();
    let rows = |list: &[f64], from: f64, to: f64| {
        let before = |bound: f64| list.partition_point(|value| *value < bound);
        count(before(to) - before(from))
    };
    let mut bins: Vec<Bin> = bounds
        .windows(2)
        .map(|bounds| Bin {
            // The sum with zero is never -0, which no value is.
            from: Value::Number(bounds[0] + 0.0),
            to: Value::Number(bounds[1] + 0.0),
            with_file: rows(with_file, bounds[0], bounds[1]),
            without_file: rows(without_file, bounds[0], bounds[1]),
        })
        .collect();
    let has_rows = |bin: &Bin| bin.rows() > 0;
    bins.truncate(bins.iter().rposition(has_rows).map_or(0, |last| last + 1));
    let empty = bins.iter().position(has_rows).unwrap_or_default();
    bins.split_off(empty)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn floats(values: &[f64]) -> SortedNumbers {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        SortedNumbers::Floats(values)
    }

    fn integers(values: &[i64]) -> SortedNumbers {
        let mut values = values.to_vec();
        values.sort_unstable();
        SortedNumbers::Integers(values.into_iter().map(|value| (value, 1)).collect()).merge(SortedNumbers::Integers(Vec::new()))
    }

    fn text(bins: &[Bin]) -> String {
        let bin = |bin: &Bin| format!("{}..{}: {}+{}", bin.from, bin.to, bin.with_file, bin.without_file);
        bins.iter().map(bin).collect::<Vec<_>>().join(", ")
    }

    #[track_caller]
    fn check(with_file: &SortedNumbers, without_file: &SortedNumbers, expected: &str) {
        assert_eq!(text(&bins(with_file, without_file)), expected);
    }

    #[test]
    fn few_integers_have_an_interval_each() {
        check(&integers(&[3, 5, 5]), &integers(&[4]), "3..3: 1+0, 4..4: 0+1, 5..5: 2+0");
        check(&integers(&[]), &integers(&[]), "");
        check(
            &integers(&[i64::MAX]),
            &integers(&[]),
            "9223372036854775807..9223372036854775807: 1+0",
        );
    }

    #[test]
    fn many_integers_have_intervals_of_round_width() {
        let found = bins(&integers(&[-7, 93]), &integers(&[0]));
        assert_eq!(text(&found[..3]), "-10..-6: 1+0, -5..-1: 0+0, 0..4: 0+1");
        assert_eq!(text(&found[found.len() - 1..]), "90..94: 1+0");
        let found = bins(&integers(&[i64::MIN, i64::MAX]), &integers(&[]));
        assert_eq!(found.iter().map(Bin::rows).sum::<u64>(), 2);
    }

    #[test]
    fn floats_have_intervals_with_short_bounds() {
        check(&floats(&[0.1, 0.3]), &floats(&[0.2]), &{
            let bin = |number: u8| {
                let without_file = u8::from(number == 20);
                format!("{}..{}: 0+{without_file}", f64::from(number) / 100.0, f64::from(number + 1) / 100.0)
            };
            let middle: Vec<_> = (11..30).map(bin).collect();
            format!("0.1..0.11: 1+0, {}, 0.3..0.31: 1+0", middle.join(", "))
        });
        check(&floats(&[7.0]), &floats(&[]), "7..7.5: 1+0");
        check(&floats(&[0.0]), &floats(&[]), "0..0.05: 1+0");
        assert_eq!(bins(&floats(&[1e300]), &floats(&[])).len(), 1);
        assert_eq!(bins(&floats(&[f64::MIN, f64::MAX]), &floats(&[])), []);
    }

    proptest! {
        #[test]
        fn every_float_is_in_one_interval(values in prop::collection::vec(prop_oneof![-1e3..1e3_f64, -1.0..1.0_f64, any::<i32>().prop_map(f64::from)], 1..60)) {
            let found = bins(&floats(&values), &floats(&[]));
            prop_assert!(found.len() <= BINS_MAX, "{}", found.len());
            prop_assert_eq!(found.iter().map(Bin::rows).sum::<u64>(), count(values.len()), "{}", text(&found));
            prop_assert!(found.windows(2).all(|pair| pair[0].to == pair[1].from));
            prop_assert!(found.iter().all(|bin| bin.from.compare(&bin.to).is_some_and(std::cmp::Ordering::is_lt)));
        }

        #[test]
        fn every_integer_is_in_one_interval(values in prop::collection::vec(any::<i64>(), 1..60), divisor in 1..1_000_000_000_i64) {
            let values: Vec<_> = values.iter().map(|value| value / divisor).collect();
            let found = bins(&integers(&[]), &integers(&values));
            prop_assert!(found.len() <= BINS_MAX, "{}", found.len());
            prop_assert_eq!(found.iter().map(Bin::rows).sum::<u64>(), count(values.len()));
        }
    }
}
