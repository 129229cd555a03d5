//! Where a page ends: what `cursor=` holds, so that the next page goes on there.
//!
//! A cursor is bound to a version of the table and a day, so that the pages of one walk are those of one state, whatever is published
//! meanwhile. It names the last row rather than a number of rows: the next page costs no more than the first.

use std::fmt;

use datalake_core::{
    calendar,
    query::error::QueryError,
    user::{Day, UserId},
};
use datalake_table::delta::version::Version;
use sha2::{Digest, Sha256};

/// The parameter's name.
pub const CURSOR: &str = "cursor";

/// Hexadecimal digits that tell a version from another one of its number: of a table that took the place of another, or after a rollback.
const STATE_DIGITS: usize = 16;

/// Behind which row of which state a page begins, and for which question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The version of the table.
    pub version: u64,
    state: String,
    /// The day on which ages are counted.
    pub day: Day,
    /// Names the filters and the order.
    question: String,
    /// The last row of the page before.
    pub user_id: UserId,
}

impl Cursor {
    /// Behind the row of `user_id`. `question` words the filters and the order.
    pub fn new(version: &Version, day: Day, question: &str, user_id: UserId) -> Self {
        Self {
            version: version.number(),
            state: state(version),
            day,
            question: digest(question),
            user_id,
        }
    }

    /// Parses the value of `cursor`.
    pub fn parse(value: &str) -> Result<Self, QueryError> {
        let mut parts = value.split('~');
        let mut part = || parts.next().ok_or_else(unknown);
        let version = part()?.parse().map_err(|_| unknown())?;
        let (state, day) = (part()?.to_owned(), part()?);
        let day = calendar::parse_day(CURSOR, day).map_err(|_| unknown())?;
        let question = part()?.to_owned();
        let user_id = UserId::parse(part()?).map_err(|_| unknown())?;
        match parts.next() {
            Some(_) => Err(unknown()),
            None => Ok(Self {
                version,
                state,
                day,
                question,
                user_id,
            }),
        }
    }

    /// Refuses a cursor that was given for other filters or another order: what it names the last row of is another list.
    pub fn check_question(&self, question: &str) -> Result<(), QueryError> {
        if self.question == digest(question) {
            return Ok(());
        }
        let reason = "was given for other filters or another order: leave those as they were, or begin without a cursor";
        Err(QueryError::value(CURSOR, reason))
    }

    /// Whether it was given for this very version. Another one may have its number: after a rollback, or in a table that took its place.
    pub fn is_of(&self, version: &Version) -> bool {
        self.version == version.number() && self.state == state(version)
    }
}

/// The version of the table that any cursor names first.
pub fn version_of(value: &str) -> Result<u64, QueryError> {
    let version = value.split_once('~').and_then(|(version, _)| version.parse().ok());
    version.ok_or_else(unknown)
}

/// A text that is not a cursor of this server.
pub fn unknown() -> QueryError {
    QueryError::value(
        CURSOR,
        "is none that this server gave: take it from the Link header of the page before",
    )
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            state,
            day,
            question,
            user_id,
        } = self;
        write!(f, "{version}~{state}~{}~{question}~{user_id}", day.date())
    }
}

/// Tells versions of one number apart, on every replica alike.
pub fn state(version: &Version) -> String {
    let text = format!("{}\n{}", version.table_id(), version.digest());
    digest(&text).chars().take(STATE_DIGITS).collect()
}

/// 64 bits name a text well enough where nobody gains by a collision.
pub fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{number:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, accepted: bool) {
        let parsed = Cursor::parse(value);
        assert_eq!(parsed.is_ok(), accepted, "{value}: {parsed:?}");
        if let Ok(cursor) = parsed {
            assert_eq!(cursor.to_string(), value);
        }
    }

    #[test]
    fn cursors() {
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff~a.b_C-9", true);
        check("", false);
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff", false);
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff~1~2", false);
        check("-1~0197a2b3~2026-11-24~00ff00ff00ff00ff~1", false);
        check("12~0197a2b3~2026-02-30~00ff00ff00ff00ff~1", false);
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff~a/b", false);
    }

    #[test]
    fn cursors_are_bound_to_their_question() {
        let cursor = Cursor::parse(&format!("1~t~2026-11-24~{}~1", digest("last_name=Lee"))).unwrap();
        assert_eq!(cursor.check_question("last_name=Lee"), Ok(()));
        assert!(cursor.check_question("last_name=Fox").is_err());
    }
}
