//! The ID of a row.

use std::{borrow::Borrow, fmt};

/// The value of the placeholder in the key of a source, which identifies the row: `1000` in `src-data/1000.csv`. Invariant: 1 to 64 of
/// `A-Z a-z 0-9 . _ -`, not `.` or `..`.
///
/// IDs are text and are ordered by their bytes: `0001` and `1` are different rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(Box<str>);

/// The text is not a valid [`RowId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an ID is 1 to 64 of A-Z a-z 0-9 . _ -, and not . or ..")]
pub struct RowIdError;

impl RowId {
    /// Maximum length of an ID, in bytes. With a suffix such as `.csv.part`, a name is far below the 255 bytes that file systems allow.
    pub const BYTES_MAX: usize = 64;

    /// Parses an ID; nothing is trimmed or converted.
    pub fn parse(text: &str) -> Result<Self, RowIdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        match text {
            "" | "." | ".." => Err(RowIdError),
            _ if text.len() > Self::BYTES_MAX || !text.bytes().all(allowed) => Err(RowIdError),
            _ => Ok(Self(text.into())),
        }
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
}
