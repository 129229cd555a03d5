//! Compact, immutable columns with access by index.
//!
//! A reader keeps all rows of the table in memory, so the size of these columns determines how many rows fit into a machine.

use polars::prelude::PlHashMap;

use crate::error::TableError;

/// Strings in one allocation. Each takes about one byte in addition to its own, if none is longer than 255 bytes.
pub(crate) struct StringColumn {
    text: Box<str>,
    ends: Ends,
}

/// The end of each string.
enum Ends {
    /// The length of each string, and the start of every sixteenth. Access adds up at most fifteen lengths, and four bytes per string are
    /// saved.
    Short { lengths: Box<[u8]>, starts: Box<[u32]> },
    /// The offset of each end, if a string is longer than 255 bytes or there are few strings.
    Long(Box<[u32]>),
}

/// The number of strings between two stored starts.
const BLOCK: usize = 16;

impl StringColumn {
    /// Packs strings in their order. `key` is the file of the strings, for errors.
    pub(crate) fn collect<S: AsRef<str>>(key: &str, values: impl Iterator<Item = Result<S, TableError>>) -> Result<Self, TableError> {
        let (text, ends) = Self::join(key, values)?;
        let ends = Ends::pack(ends);
        Ok(Self { text, ends })
    }

    /// Packs few strings that are read often, with the offset of each end.
    fn collect_few(key: &str, values: &[&str]) -> Result<Self, TableError> {
        let (text, ends) = Self::join(key, values.iter().map(|value| Ok(*value)))?;
        let ends = Ends::Long(ends.into());
        Ok(Self { text, ends })
    }

    fn join<S: AsRef<str>>(key: &str, values: impl Iterator<Item = Result<S, TableError>>) -> Result<(Box<str>, Vec<u32>), TableError> {
        let mut text = String::new();
        let mut ends: Vec<u32> = Vec::with_capacity(values.size_hint().0);
        for value in values {
            text.push_str(value?.as_ref());
            let end = u32::try_from(text.len());
            ends.push(end.map_err(|_| TableError::unsupported(format!("columns with more than 4 GiB of strings (in {key})")))?);
        }
        Ok((text.into(), ends))
    }

    /// The string at `index`, which is less than the number of strings.
    pub(crate) fn get(&self, index: usize) -> &str {
        let (start, end) = self.ends.of(index);
        &self.text[start..end]
    }
}

impl Ends {
    fn pack(ends: Vec<u32>) -> Self {
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let lengths: Result<Box<[u8]>, _> = starts.clone().zip(&ends).map(|(start, end)| u8::try_from(end - start)).collect();
        match lengths {
            Ok(lengths) => Self::Short {
                starts: starts.take(lengths.len()).step_by(BLOCK).collect(),
                lengths,
            },
            Err(_) => Self::Long(ends.into()),
        }
    }

    fn of(&self, index: usize) -> (usize, usize) {
        match self {
            Self::Short { lengths, starts } => {
                let block = index / BLOCK;
                let before: usize = lengths[block * BLOCK..index].iter().copied().map(usize::from).sum();
                let start = offset(starts[block]) + before;
                (start, start + usize::from(lengths[index]))
            }
            Self::Long(ends) => (index.checked_sub(1).map_or(0, |before| offset(ends[before])), offset(ends[index])),
        }
    }
}

fn offset(offset: u32) -> usize {
    usize::try_from(offset).expect("it was converted from a usize")
}

/// Strings of which many are equal, such as names. Dictionary-encoded if that is smaller.
pub(crate) enum DictColumn {
    Plain(StringColumn),
    Dictionary { strings: StringColumn, codes: Box<[u16]> },
}

impl DictColumn {
    /// Packs strings in their order. `key` is the file of the strings, for errors.
    pub(crate) fn collect<'a>(key: &str, values: impl Iterator<Item = Result<&'a str, TableError>>) -> Result<Self, TableError> {
        let values: Vec<&str> = values.collect::<Result<_, _>>()?;
        match Self::encode(key, &values)? {
            Some(encoded) => Ok(encoded),
            None => StringColumn::collect(key, values.into_iter().map(Ok)).map(Self::Plain),
        }
    }

    /// Encodes strings with a dictionary. None if most strings differ.
    fn encode(key: &str, values: &[&str]) -> Result<Option<Self>, TableError> {
        let mut numbers: PlHashMap<&str, u16> = PlHashMap::default();
        let mut strings = Vec::new();
        let mut codes = Vec::with_capacity(values.len());
        for &value in values {
            if let Some(code) = numbers.get(value) {
                codes.push(*code);
                continue;
            }
            let Ok(code) = u16::try_from(strings.len()) else { return Ok(None) };
            // Two bytes per row plus the dictionary must be smaller than the plain strings.
            if strings.len() * 2 > values.len().max(BLOCK) {
                return Ok(None);
            }
            strings.push(value);
            numbers.insert(value, code);
            codes.push(code);
        }
        Ok(Some(Self::Dictionary {
            strings: StringColumn::collect_few(key, &strings)?,
            codes: codes.into(),
        }))
    }

    /// The string at `index`, which is less than the number of rows.
    pub(crate) fn get(&self, index: usize) -> &str {
        match self {
            Self::Plain(strings) => strings.get(index),
            Self::Dictionary { strings, codes } => strings.get(usize::from(codes[index])),
        }
    }
}

/// Integers, stored as multiples of a unit after the least one if that is exact.
pub(crate) enum IntegerColumn {
    Offsets { first: i64, unit: i64, after: Box<[u32]> },
    Plain(Box<[i64]>),
}

impl IntegerColumn {
    /// Packs integers in their order. `unit` divides the distances of most values: instants are mostly whole seconds.
    pub(crate) fn pack(numbers: Vec<i64>, unit: i64) -> Self {
        let first = numbers.iter().copied().min().unwrap_or_default();
        let after = |number: &i64| {
            let distance = number.checked_sub(first).filter(|distance| distance % unit == 0)?;
            u32::try_from(distance / unit).ok()
        };
        match numbers.iter().map(after).collect() {
            Some(after) => Self::Offsets { first, unit, after },
            None => Self::Plain(numbers.into()),
        }
    }

    /// The integer at `index`, which is less than the number of rows.
    pub(crate) fn get(&self, index: usize) -> i64 {
        match self {
            Self::Offsets { first, unit, after } => first + i64::from(after[index]) * unit,
            Self::Plain(numbers) => numbers[index],
        }
    }
}

/// One bit per row.
pub(crate) struct BitColumn(Box<[u64]>);

impl BitColumn {
    const WORD: usize = 64;

    pub(crate) fn get(&self, index: usize) -> bool {
        self.0[index / Self::WORD] >> (index % Self::WORD) & 1 == 1
    }
}

impl FromIterator<bool> for BitColumn {
    fn from_iter<T: IntoIterator<Item = bool>>(bits: T) -> Self {
        let mut words = Vec::new();
        for (index, bit) in bits.into_iter().enumerate() {
            if index % Self::WORD == 0 {
                words.push(0);
            }
            words[index / Self::WORD] |= u64::from(bit) << (index % Self::WORD);
        }
        Self(words.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_strings(values: &[String]) {
        let plain = StringColumn::collect("key", values.iter().map(|value| Ok(&**value))).unwrap();
        assert!((0..values.len()).all(|index| plain.get(index) == values[index]), "{values:?}");
        let strings = DictColumn::collect("key", values.iter().map(|value| Ok(&**value))).unwrap();
        assert!((0..values.len()).all(|index| strings.get(index) == values[index]), "{values:?}");
    }

    #[track_caller]
    fn check_integers(numbers: &[i64], is_packed: bool) {
        let packed = IntegerColumn::pack(numbers.to_vec(), 1_000);
        assert_eq!(matches!(packed, IntegerColumn::Offsets { .. }), is_packed, "{numbers:?}");
        let unpacked = (0..numbers.len()).map(|index| packed.get(index));
        assert_eq!(unpacked.collect::<Vec<_>>(), numbers);
    }

    #[test]
    fn multiples_of_the_unit_are_stored_as_offsets() {
        check_integers(&[], true);
        check_integers(&[-1], true);
        check_integers(&[-1_001, 999], true);
        check_integers(&[-1_001, 998], false);
        check_integers(&[0, 4_294_967_295_000], true);
        check_integers(&[0, 4_294_967_296_000], false);
        check_integers(&[i64::MIN, i64::MAX], false);
    }

    #[test]
    fn repeated_strings_are_dictionary_encoded() {
        let names: Vec<_> = (0..1_000).map(|number| format!("name {}", number % 100)).collect();
        let strings = DictColumn::collect("key", names.iter().map(|name| Ok(&**name))).unwrap();
        assert!(matches!(strings, DictColumn::Dictionary { .. }));
        let ids: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
        let strings = DictColumn::collect("key", ids.iter().map(|id| Ok(&**id))).unwrap();
        assert!(matches!(strings, DictColumn::Plain(_)));
    }

    proptest! {
        #[test]
        fn strings_are_returned_unchanged(values in prop::collection::vec(".{0,4}", 0..100), long in prop::option::of(0..100_usize)) {
            let mut values = values;
            if let Some(value) = long.and_then(|at| values.get_mut(at)) {
                *value = "é".repeat(200);
            }
            check_strings(&values);
        }
    }
}
