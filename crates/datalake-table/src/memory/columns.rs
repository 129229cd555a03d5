//! Columns in as few bytes a row as they need, immutable, with every value at hand by its index.
//!
//! A reader holds every row of the table: what is saved here decides how many users fit into a machine.

use polars::prelude::PlHashMap;

use crate::error::TableError;

/// StringColumn that share one allocation: a byte a text besides its own where none is over 255 bytes.
pub(crate) struct StringColumn {
    text: Box<str>,
    ends: Ends,
}

/// Where each text ends.
enum Ends {
    /// The length of each text, and where every sixteenth begins: to add up fifteen lengths at most is cheaper than the memory they save.
    Short { lengths: Box<[u8]>, starts: Box<[u32]> },
    /// Some text is longer than a byte can say, or there are few.
    Long(Box<[u32]>),
}

/// StringColumn between two known starts.
const BLOCK: usize = 16;

impl StringColumn {
    /// Packs texts in their order; `key` names the file they are from, for errors.
    pub(crate) fn collect<'a>(key: &str, values: impl Iterator<Item = Result<&'a str, TableError>>) -> Result<Self, TableError> {
        let (text, ends) = Self::join(key, values)?;
        let ends = Ends::pack(ends);
        Ok(Self { text, ends })
    }

    /// Few texts that are looked at often: each end is held as it is.
    fn collect_few(key: &str, values: &[&str]) -> Result<Self, TableError> {
        let (text, ends) = Self::join(key, values.iter().map(|value| Ok(*value)))?;
        let ends = Ends::Long(ends.into());
        Ok(Self { text, ends })
    }

    fn join<'a>(key: &str, values: impl Iterator<Item = Result<&'a str, TableError>>) -> Result<(Box<str>, Vec<u32>), TableError> {
        let mut text = String::new();
        let mut ends: Vec<u32> = Vec::with_capacity(values.size_hint().0);
        for value in values {
            text.push_str(value?);
            let end = u32::try_from(text.len());
            ends.push(end.map_err(|_| TableError::unsupported(format!("a data file with over 4 GiB of text in a column, key={key}")))?);
        }
        Ok((text.into(), ends))
    }

    /// The text at `index`, which is less than the number of texts.
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
    usize::try_from(offset).expect("it was made from the length of a text")
}

/// StringColumn many of which are equal, as names are: each is held once where that is smaller.
pub(crate) enum DictColumn {
    Plain(StringColumn),
    Coded { words: StringColumn, codes: Box<[u16]> },
}

impl DictColumn {
    /// Packs texts in their order; `key` names the file they are from, for errors.
    pub(crate) fn collect<'a>(key: &str, values: impl Iterator<Item = Result<&'a str, TableError>>) -> Result<Self, TableError> {
        let values: Vec<&str> = values.collect::<Result<_, _>>()?;
        match Self::coded(key, &values)? {
            Some(coded) => Ok(coded),
            None => StringColumn::collect(key, values.into_iter().map(Ok)).map(Self::Plain),
        }
    }

    /// None where most values differ.
    fn coded(key: &str, values: &[&str]) -> Result<Option<Self>, TableError> {
        let mut numbers: PlHashMap<&str, u16> = PlHashMap::default();
        let mut words = Vec::new();
        let mut codes = Vec::with_capacity(values.len());
        for &value in values {
            if let Some(code) = numbers.get(value) {
                codes.push(*code);
                continue;
            }
            let Ok(code) = u16::try_from(words.len()) else { return Ok(None) };
            // Two bytes a row, and each word once more, must be less than the texts as they are.
            if words.len() * 2 > values.len().max(BLOCK) {
                return Ok(None);
            }
            words.push(value);
            numbers.insert(value, code);
            codes.push(code);
        }
        Ok(Some(Self::Coded {
            words: StringColumn::collect_few(key, &words)?,
            codes: codes.into(),
        }))
    }

    /// The text at `index`, which is less than the number of rows.
    pub(crate) fn get(&self, index: usize) -> &str {
        match self {
            Self::Plain(texts) => texts.get(index),
            Self::Coded { words, codes } => words.get(usize::from(codes[index])),
        }
    }
}

/// Milliseconds: half of them need no more than whole seconds after the first.
pub(crate) enum TimestampColumn {
    Seconds { first: i64, after: Box<[u32]> },
    Milliseconds(Box<[i64]>),
}

impl TimestampColumn {
    const SECOND: i64 = 1_000;

    pub(crate) fn pack(times: Vec<i64>) -> Self {
        let first = times.iter().copied().min().unwrap_or_default();
        let after = |time: &i64| {
            let elapsed = time.checked_sub(first).filter(|elapsed| elapsed % Self::SECOND == 0)?;
            u32::try_from(elapsed / Self::SECOND).ok()
        };
        match times.iter().map(after).collect() {
            Some(after) => Self::Seconds { first, after },
            None => Self::Milliseconds(times.into()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Seconds { after, .. } => after.len(),
            Self::Milliseconds(times) => times.len(),
        }
    }

    /// The time at `index`, which is less than [`TimestampColumn::len`].
    pub(crate) fn get(&self, index: usize) -> i64 {
        match self {
            Self::Seconds { first, after } => first + i64::from(after[index]) * Self::SECOND,
            Self::Milliseconds(times) => times[index],
        }
    }
}

/// One bit a row.
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

    fn check_texts(values: &[String]) {
        let texts = StringColumn::collect("key", values.iter().map(|value| Ok(&**value))).unwrap();
        assert!((0..values.len()).all(|index| texts.get(index) == values[index]), "{values:?}");
        let words = DictColumn::collect("key", values.iter().map(|value| Ok(&**value))).unwrap();
        assert!((0..values.len()).all(|index| words.get(index) == values[index]), "{values:?}");
    }

    #[track_caller]
    fn check_times(times: &[i64], in_seconds: bool) {
        let packed = TimestampColumn::pack(times.to_vec());
        assert_eq!(matches!(packed, TimestampColumn::Seconds { .. }), in_seconds, "{times:?}");
        assert_eq!((0..packed.len()).map(|index| packed.get(index)).collect::<Vec<_>>(), times);
    }

    #[test]
    fn times() {
        check_times(&[], true);
        check_times(&[-1], true);
        check_times(&[-1_001, 999], true);
        check_times(&[-1_001, 998], false);
        check_times(&[0, 4_294_967_295_000], true);
        check_times(&[0, 4_294_967_296_000], false);
        check_times(&[i64::MIN, i64::MAX], false);
    }

    #[test]
    fn names_are_held_once() {
        let names: Vec<_> = (0..1_000).map(|number| format!("name {}", number % 100)).collect();
        let words = DictColumn::collect("key", names.iter().map(|name| Ok(&**name))).unwrap();
        assert!(matches!(words, DictColumn::Coded { .. }));
        let ids: Vec<_> = (0..1_000).map(|number| number.to_string()).collect();
        let words = DictColumn::collect("key", ids.iter().map(|id| Ok(&**id))).unwrap();
        assert!(matches!(words, DictColumn::Plain(_)));
    }

    proptest! {
        #[test]
        fn every_text_comes_back(values in prop::collection::vec(".{0,4}", 0..100), long in prop::option::of(0..100_usize)) {
            let mut values = values;
            if let Some(value) = long.and_then(|at| values.get_mut(at)) {
                *value = "é".repeat(200);
            }
            check_texts(&values);
        }
    }
}
