//! Errors of declarations.

use std::fmt;

use crate::nearest::nearest;

/// Why a declaration is invalid: the first error of its text. Nothing is changed because of an invalid declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DatasetError {
    /// From 1; lines end with LF or CRLF.
    pub line: u32,
    /// From 1, in characters of the line.
    pub column: u32,
    /// The cause, with its value.
    pub found: Box<str>,
    /// What was expected instead.
    pub expected: Box<str>,
    /// The most similar known word, if the cause is an unknown word and one is similar.
    pub nearest: Option<Box<str>>,
}

impl fmt::Display for DatasetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}; expected {}",
            self.line, self.column, self.found, self.expected
        )?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl DatasetError {
    /// An error at a byte of the text. An offset beyond the text means its end.
    pub(super) fn at(text: &str, offset: usize, found: impl Into<Box<str>>, expected: impl Into<Box<str>>) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            line: number(before.matches('\n').count() + 1),
            column: number(before[line_start..].chars().count() + 1),
            found: found.into(),
            expected: expected.into(),
            nearest: None,
        }
    }

    /// Adds the known word that is most similar to an unknown one.
    pub(super) fn with_nearest<'a>(mut self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = nearest(word, known).map(Box::from);
        self
    }
}
