//! Edits of rows.

use datalake_core::{row::Row, user::UserId};

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Adds the row, or replaces the user's current row.
    Put(Row),
    /// Removes the user's row if there is one.
    Remove(UserId),
}

impl Edit {
    /// The user whose row is changed.
    pub fn user_id(&self) -> &UserId {
        match self {
            Self::Put(row) => &row.user_id,
            Self::Remove(user_id) => user_id,
        }
    }
}
