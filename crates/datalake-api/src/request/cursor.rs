//! The value of `cursor`: where a page ends, so that the next page continues there.
//!
//! A cursor is bound to a version of the table and to a day, so all pages show the same state, whatever is committed in between. It
//! names the last row instead of a number of rows, so the next page costs no more than the first.

use std::fmt;

use datalake_core::{calendar::Day, query::error::QueryError, query::time, row_id::RowId};
use datalake_table::delta::version::Version;

use crate::{
    digest::{text_digest, version_digest},
    request::query_string::QueryString,
};

/// The name of the parameter.
pub const CURSOR: &str = "cursor";

/// The row of a list after which a page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The version of the table.
    pub version: u64,
    version_digest: String,
    /// The day on which ages are computed.
    pub day: Day,
    list_digest: String,
    /// The last row of the previous page.
    pub user_id: RowId,
}

impl Cursor {
    /// The cursor after the row of `user_id`. `list_identity` identifies the filters and the order.
    pub fn new(version: &Version, day: Day, list_identity: &str, user_id: RowId) -> Self {
        Self {
            version: version.number(),
            version_digest: version_digest(version),
            day,
            list_digest: text_digest(list_identity),
            user_id,
        }
    }

    /// Parses the value of `cursor`.
    pub fn parse(value: &str) -> Result<Self, QueryError> {
        let mut parts = value.split('~');
        let mut part = || parts.next().ok_or_else(invalid_cursor);
        let version = part()?.parse().map_err(|_| invalid_cursor())?;
        let (version_digest, day) = (part()?.to_owned(), part()?);
        let day = time::parse_day(CURSOR, day).map_err(|_| invalid_cursor())?;
        let list_digest = part()?.to_owned();
        let user_id = RowId::parse_shown(part()?).map_err(|_| invalid_cursor())?;
        match parts.next() {
            Some(_) => Err(invalid_cursor()),
            None => Ok(Self {
                version,
                version_digest,
                day,
                list_digest,
                user_id,
            }),
        }
    }

    /// Rejects a cursor of a list with other filters or another order, in which its row has another position.
    pub fn check_list(&self, list_identity: &str) -> Result<(), QueryError> {
        if self.list_digest == text_digest(list_identity) {
            return Ok(());
        }
        let reason = "belongs to other filters or another order; keep those, or start without a cursor";
        Err(QueryError::value(CURSOR, reason))
    }

    /// Whether the cursor belongs to this version. After a rollback, or in a table that replaced another, a different version may have the
    /// same number.
    pub fn is_of(&self, version: &Version) -> bool {
        self.version == version.number() && self.version_digest == version_digest(version)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            version,
            version_digest,
            day,
            list_digest,
            user_id,
        } = self;
        write!(f, "{version}~{version_digest}~{}~{list_digest}~{user_id}", day.date())
    }
}

/// The version of the table, with which every kind of cursor starts.
pub fn version_of(value: &str) -> Result<u64, QueryError> {
    let version = value.split_once('~').and_then(|(version, _)| version.parse().ok());
    version.ok_or_else(invalid_cursor)
}

/// The version of the cursor in a query string; none without a cursor, and for a value that is not one.
pub fn version_in(query: &QueryString) -> Option<u64> {
    version_of(query.get(CURSOR)?).ok()
}

/// The error of a value that is not a cursor of this API.
pub fn invalid_cursor() -> QueryError {
    QueryError::value(
        CURSOR,
        "is not a cursor of this API; take it from the Link header of the previous page",
    )
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
    fn malformed_cursors_are_rejected() {
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff~a.b_C-9", true);
        check("", false);
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff", false);
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff~1~2", false);
        check("-1~0197a2b3~2026-11-24~00ff00ff00ff00ff~1", false);
        check("12~0197a2b3~2026-02-30~00ff00ff00ff00ff~1", false);
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff~a/b", true);
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff~a/b/", false);
        check("12~0197a2b3~2026-11-24~00ff00ff00ff00ff~a b", false);
    }

    #[test]
    fn cursor_belongs_to_one_list() {
        let cursor = Cursor::parse(&format!("1~t~2026-11-24~{}~1", text_digest("last_name=Lee"))).unwrap();
        assert_eq!(cursor.check_list("last_name=Lee"), Ok(()));
        assert!(cursor.check_list("last_name=Fox").is_err());
    }
}
