//! Names of columns, files and placeholders.

use std::{fmt, ops::Deref};

use crate::text::quoted;

/// A name of a declaration. Invariant: `[a-z][a-z0-9_]{0,62}` without `__` and without `_` at the end, and not that of a column with provenance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Parameters of the API and of pages, which a filter by a column of the same name could not be distinguished from.
const PARAMETERS: &[&str] = &[
    "as_of",
    "cursor",
    "escape",
    "form",
    "format",
    "limit",
    "min_version",
    "on",
    "order",
    "q",
    "select",
    "shape",
    "version",
    "view",
    "wait",
];

/// Columns with the provenance of rows in the table, and their prefixes.
const PROVENANCE: &[&str] = &[
    "run_id",
    "csv",
    "csv_etag",
    "csv_modified",
    "csv_size",
    "source",
    "source_etag",
    "source_modified",
    "source_size",
];

/// Segments of paths below `/data/{…}`, where the routes of files are.
const ROUTES: &[&str] = &["explain", "history"];

impl Name {
    /// Maximum length of a name, in bytes: identifiers of databases have at most 63.
    pub const BYTES_MAX: usize = 63;

    /// Parses a name, or returns what is wrong with it and what is expected.
    pub(super) fn parse(text: &str) -> Result<Self, (String, &'static str)> {
        const EXPECTED: &str = "a letter of a-z, then up to 62 of a-z, 0-9 and _";
        let is_first = text.starts_with(|character: char| character.is_ascii_lowercase());
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !is_first || text.len() > Self::BYTES_MAX || !text.bytes().all(is_allowed) {
            return Err((format!("the name {}", quoted(text)), EXPECTED));
        }
        // A parameter like `age__gte` is split at the first `__`.
        if text.contains("__") || text.ends_with('_') {
            let found = format!("the name {text}, whose underscores separate a column from an operator");
            return Err((found, "single underscores between other characters"));
        }
        // The table would have two columns of the same name.
        if PROVENANCE.contains(&text) {
            return Err(reserved(text));
        }
        Ok(Self(text.into()))
    }

    /// Rejects the name of a parameter or of a route.
    pub(super) fn check_not_reserved(&self) -> Result<(), (String, &'static str)> {
        match [PARAMETERS, ROUTES].iter().any(|names| names.contains(&self.as_str())) {
            true => Err(reserved(self)),
            false => Ok(()),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn reserved(name: &str) -> (String, &'static str) {
    (format!("the reserved name {name}"), "another name, for example with a prefix")
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_rejected(text: &str, cause: &str) {
        let (found, expected) = Name::parse(text).and_then(|name| name.check_not_reserved()).expect_err(text);
        assert!(found.contains(cause) && !expected.is_empty(), "{found}");
    }

    #[test]
    fn names_have_allowed_characters_and_are_not_reserved() {
        for name in ["a", "user_id", "od600", "x_1", &"a".repeat(63)] {
            assert_eq!(Name::parse(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "A", "1a", "_a", "a-b", "a b", "é", &"a".repeat(64)] {
            check_rejected(name, "the name \"");
        }
        check_rejected("age__gte", "operator");
        check_rejected("age_", "operator");
        for name in ["limit", "order", "on", "form", "view", "run_id", "source_etag", "history"] {
            check_rejected(name, "reserved");
        }
    }
}
