//! The ID of a row.

use std::{
    borrow::{Borrow, Cow},
    fmt,
};

/// The values of the placeholders in the key of a source, which identify the row: `1000` in `src-data/1000.csv`, `P1` and `A01` in
/// `src-data/P1/A01.csv`. Invariant: one or more values, each 1 to 64 of `A-Z a-z 0-9 . _ -`, not `.` or `..`.
///
/// Values are text and are ordered by their bytes, one after the other: `0001` and `1` are different rows. The text of an ID has
/// [`RowId::SEPARATOR`] between the values; readers see a slash, as in the path of the row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(Box<str>);

/// The text is not a valid [`RowId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ID is 1 to 64 of A-Z a-z 0-9 . _ -, and not . or ..")]
pub struct RowIdError;

impl RowId {
    /// Maximum length of a value, in bytes. With a suffix such as `.csv.part`, a name is far below the 255 bytes that file systems allow.
    pub const BYTES_MAX: usize = 64;

    /// Separates the values. It precedes all characters of values, so that the order of texts is that of the values.
    pub const SEPARATOR: char = '\u{1}';

    /// Parses the text of an ID, of one or more values; nothing is trimmed or converted.
    pub fn parse(text: &str) -> Result<Self, RowIdError> {
        match text.split(Self::SEPARATOR).all(is_value) {
            true => Ok(Self(text.into())),
            false => Err(RowIdError),
        }
    }

    /// Parses an ID as readers see it, with slashes.
    pub fn parse_shown(text: &str) -> Result<Self, RowIdError> {
        Self::parse(&text_of(text))
    }

    /// The ID with these values.
    pub fn of(values: &[&str]) -> Result<Self, RowIdError> {
        match values {
            [value] if is_value(value) => Ok(Self((*value).into())),
            values if !values.is_empty() && values.iter().all(|value| is_value(value)) => {
                Ok(Self(values.join(Self::SEPARATOR.encode_utf8(&mut [0; 4])).into()))
            }
            _ => Err(RowIdError),
        }
    }

    /// The text of the ID.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The values, in the order of the placeholders.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.0.split(Self::SEPARATOR)
    }
}

fn is_value(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !matches!(text, "" | "." | "..") && text.len() <= RowId::BYTES_MAX && text.bytes().all(allowed)
}

/// The text of an ID as readers see it: `P1/A01`.
pub fn shown(text: &str) -> Cow<'_, str> {
    match text.contains(RowId::SEPARATOR) {
        true => text.replace(RowId::SEPARATOR, "/").into(),
        false => text.into(),
    }
}

/// The text of the ID that readers see as `shown`. The result is empty for a text that is shown as no ID.
pub fn text_of(shown: &str) -> Cow<'_, str> {
    match (shown.contains(RowId::SEPARATOR), shown.contains('/')) {
        (true, _) => "".into(),
        (false, true) => shown.replace('/', RowId::SEPARATOR.encode_utf8(&mut [0; 4])).into(),
        (false, false) => shown.into(),
    }
}

/// Shows a slash between the values.
impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl Borrow<str> for RowId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_id(text: &str, accepted: bool) {
        assert_eq!(RowId::parse(text).is_ok(), accepted, "id: {text:?}");
        assert_eq!(RowId::of(&[text]).is_ok(), accepted, "id: {text:?}");
    }

    #[test]
    fn ids_have_allowed_characters_and_length() {
        check_id("1000", true);
        check_id("a.b_C-9", true);
        check_id("...", true);
        check_id(&"9".repeat(64), true);
        check_id(&"9".repeat(65), false);
        check_id("", false);
        check_id(".", false);
        check_id("..", false);
        check_id("a b", false);
        check_id("a/b", false);
        check_id("a%2Fb", false);
        check_id("é", false);
        check_id("a\n", false);
        assert_ne!(RowId::parse("0001"), RowId::parse("1"));
    }

    #[test]
    fn several_values_are_ordered_one_after_the_other() {
        let id = |values: &[&str]| RowId::of(values).unwrap();
        let ids = [
            id(&["a", "z"]),
            id(&["a-b", "a"]),
            id(&["a.b", "a"]),
            id(&["a0", "-"]),
            id(&["a0", "0"]),
            id(&["b", "a"]),
        ];
        assert!(ids.is_sorted());
        assert_eq!(ids[1].to_string(), "a-b/a");
        assert_eq!(ids[1].values().collect::<Vec<_>>(), ["a-b", "a"]);
        assert_eq!(RowId::parse(ids[1].as_str()), RowId::parse_shown("a-b/a"));
        assert_eq!(shown(ids[1].as_str()), "a-b/a");
        for invalid in ["a/", "/a", "a//b", "a/..", "a\u{1}b"] {
            assert_eq!(RowId::parse_shown(invalid), Err(RowIdError), "{invalid:?}");
        }
        assert_eq!(RowId::of(&["a", ""]), Err(RowIdError));
        assert_eq!(RowId::of(&[]), Err(RowIdError));
        assert_eq!(RowId::of(&["a\u{1}b"]), Err(RowIdError));
    }
}
