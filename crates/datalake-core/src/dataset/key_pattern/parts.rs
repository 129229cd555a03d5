//! The key of a row, in parts: writers append a million keys to a buffer.

use super::KeyPattern;
use crate::row_id::RowId;

/// The key of a row, without a text of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyParts<'a> {
    pattern: &'a KeyPattern,
    id: &'a str,
}

impl<'a> KeyParts<'a> {
    pub(super) fn new(pattern: &'a KeyPattern, id: &'a str) -> Self {
        Self { pattern, id }
    }

    /// The literals and values, in the order of the key.
    pub fn iter(self) -> impl Iterator<Item = &'a str> + Clone {
        let Self { pattern, id } = self;
        let value = move |index: usize| match pattern.placeholders.len() {
            1 => id,
            _ => id.split(RowId::SEPARATOR).nth(index).unwrap_or_default(),
        };
        let [first, others @ ..] = &*pattern.literals else {
            unreachable!("there is a literal before the first placeholder")
        };
        let others = pattern
            .order
            .iter()
            .zip(others)
            .flat_map(move |(index, literal)| [value(*index), &**literal]);
        std::iter::once(&**first).chain(others)
    }

    /// The key as a text of its own.
    pub fn concat(self) -> String {
        self.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_where_their_placeholders_are() {
        let source = KeyPattern::parse("src-data/{a}/x-{b}.csv").unwrap();
        let file = KeyPattern::parse_file("files/{b}~{a}", &source).unwrap();
        let id = RowId::of(&["1", "2"]).unwrap();
        assert_eq!(source.key_of(&id), "src-data/1/x-2.csv");
        assert_eq!(file.key_of(&id), "files/2~1");
        assert_eq!(
            source.parts(id.as_str()).iter().collect::<Vec<_>>(),
            ["src-data/", "1", "/x-", "2", ".csv"]
        );
        assert_eq!(source.spellings(&id), ["src-data/1/x-2.csv", "src-data/1/x-2.CSV"]);
        assert_eq!(source.texts("src-data/a b/x-.csv"), Some(vec!["a b", ""]));
        assert_eq!(source.texts("src-data/a.csv"), None);
    }
}
