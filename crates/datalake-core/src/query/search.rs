//! Text search: `q=ann lee` matches the rows whose texts, including the ID, contain every word. Case is ignored by the full case folding of
//! Unicode, so `STRASSE` matches `Straße`.

use std::borrow::Cow;

use unicase::UniCase;

use crate::{
    dataset::{ColumnType, Dataset, ValueRef},
    query::{column::Column, error::QueryError},
    row::RowView,
    row_id,
};

/// The name of the parameter.
pub const SEARCH: &str = "q";

/// Maximum number of words of a search: each is compared with every row.
const WORDS_MAX: usize = 8;

/// The words of a search. Invariant: at least one word, and each is folded and not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    words: Box<[Box<str>]>,
    /// The columns of texts, by their indices in the dataset.
    columns: Box<[usize]>,
    /// Whether IDs have several values, which are no column by themselves.
    searches_joined_ids: bool,
}

impl Search {
    /// The columns whose texts are searched.
    pub fn columns(dataset: &Dataset) -> impl Iterator<Item = Column> {
        Self::indices(dataset).map(Column::Value)
    }

    fn indices(dataset: &Dataset) -> impl Iterator<Item = usize> {
        let columns = dataset.columns().iter().enumerate();
        columns
            .filter(|(_, column)| column.column_type == ColumnType::String)
            .map(|(index, _)| index)
    }

    /// Parses words that are separated by white space.
    pub(crate) fn parse(dataset: &Dataset, name: &str, value: &str) -> Result<Self, QueryError> {
        let words: Box<[Box<str>]> = value.split_whitespace().map(|word| fold(word).into()).collect();
        match words.len() {
            0 => Err(QueryError::value(name, "must contain a word; omit it for all rows")),
            1..=WORDS_MAX => Ok(Self {
                words,
                columns: Self::indices(dataset).collect(),
                searches_joined_ids: dataset.id_columns() > 1,
            }),
            _ => Err(QueryError::value(name, &format!("must have at most {WORDS_MAX} words"))),
        }
    }

    /// Whether each word is part of a text.
    pub(crate) fn holds(&self, row: &RowView<'_>) -> bool {
        self.every_word(row, contains)
    }

    /// Whether each word is the beginning of a text. Such rows come first.
    pub(crate) fn is_prefix(&self, row: &RowView<'_>) -> bool {
        self.every_word(row, starts_with)
    }

    fn every_word(&self, row: &RowView<'_>, is_in: fn(&str, &str) -> bool) -> bool {
        let is_in_column = |word: &str, column: usize| match row.value(column) {
            Some(ValueRef::Text(text)) => is_in(&fold_unless_ascii(text), word),
            _ => false,
        };
        // A word with a slash may be an ID as it is shown, or the beginning of one.
        let is_in_id = |word: &str| self.searches_joined_ids && word.contains('/') && is_in(&row_id::shown(row.row_id()), word);
        self.words
            .iter()
            .all(|word| self.columns.iter().any(|column| is_in_column(word, *column)) || is_in_id(word))
    }
}

fn fold(text: &str) -> String {
    UniCase::unicode(text).to_folded_case()
}

/// ASCII is compared without a copy, because most texts are ASCII and a search compares every row.
fn fold_unless_ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(fold(text))
    }
}

/// `text` is folded or ASCII, and `word` is folded.
fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

fn starts_with(text: &str, word: &str) -> bool {
    let start = text.as_bytes().get(..word.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::Value,
        row::{Row, test_rows::user},
        row_id::RowId,
    };

    fn row(row_id: &str, first_name: &str, last_name: &str) -> Row {
        user(row_id, [first_name, last_name], 0, false)
    }

    /// Checks whether a search matches a row, and whether the match is a prefix.
    #[track_caller]
    fn check(query: &str, row: &Row, expected: (bool, bool)) {
        let search = Search::parse(Dataset::users(), SEARCH, query).unwrap();
        let view = row.view(Dataset::users());
        assert_eq!((search.holds(&view), search.is_prefix(&view)), expected, "{query:?} in {row:?}");
    }

    #[test]
    fn every_word_is_part_of_a_text() {
        let user = row("u-1000", "Anna Maria", "van Dyk");
        for query in ["u-1", "U-1000", "ann", "anna  maria", "dyk anna", "1000 van", " ANNA\t"] {
            let search = Search::parse(Dataset::users(), SEARCH, query).unwrap();
            assert!(search.holds(&user.view(Dataset::users())), "{query:?}");
        }
        for query in ["bob", "anna bob", "annamaria", "u-1000x", "processed_data"] {
            check(query, &user, (false, false));
        }
    }

    #[test]
    fn ids_of_several_values_are_found_as_they_are_shown() {
        let wells = Dataset::parse("source.key = 'src-data/{plate}/{well}.csv'\ncolumns.note = 'string'").unwrap();
        let row = Row {
            row_id: RowId::of(&["P1", "A01"]).unwrap(),
            values: [Some(Value::Text("x/y".into()))].into(),
            files: [].into(),
            ..row("1", "", "")
        };
        let view = row.view(&wells);
        for (query, expected) in [
            ("p1/a01", (true, true)),
            ("P1/", (true, true)),
            ("1/A", (true, false)),
            ("x/y P1/A01", (true, true)),
            ("P2/A01", (false, false)),
        ] {
            let search = Search::parse(&wells, SEARCH, query).unwrap();
            assert_eq!((search.holds(&view), search.is_prefix(&view)), expected, "{query}");
        }
    }

    #[test]
    fn case_is_folded_in_every_script() {
        check("żaneta", &row("1", "Żaneta", "x"), (true, true));
        check("STRASSE", &row("1", "x", "Straße"), (true, true));
        check("straß", &row("1", "x", "STRASSE"), (true, true));
        check("ὀδυσσεύς", &row("1", "ὈΔΥΣΣΕΎΣ", "x"), (true, true));
        check("иванова", &row("1", "Анна", "ИВАНОВА"), (true, true));
        check("\u{212a}elvin", &row("1", "Kelvin", "x"), (true, true));
        check("zoe", &row("1", "Zoë", "x"), (false, false));
        check("oë", &row("1", "ZOË", "x"), (true, false));
    }

    #[test]
    fn prefix_needs_every_word_at_a_beginning() {
        check("ann lee", &row("1", "Anna", "Leeds"), (true, true));
        check("ann eds", &row("1", "Anna", "Leeds"), (true, false));
        check("lee", &row("1", "Ashlee", "x"), (true, false));
    }

    #[test]
    fn search_without_a_word_or_with_too_many_is_rejected() {
        for query in ["", " \t\u{3000}", &"a ".repeat(WORDS_MAX + 1)] {
            let error = Search::parse(Dataset::users(), SEARCH, query).unwrap_err();
            assert_eq!(error.parameter, SEARCH, "{query:?}");
        }
        assert!(Search::parse(Dataset::users(), SEARCH, &"a ".repeat(WORDS_MAX)).is_ok());
    }
}
