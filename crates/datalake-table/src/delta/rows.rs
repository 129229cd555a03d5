//! Edits of rows, and the recorded state of sources.

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

/// The state of a user's sources that the table records, from which a run finds changed sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSources {
    /// The user.
    pub user_id: UserId,
    /// The ETag of the CSV from which the row was read.
    pub csv_etag: Box<str>,
    /// The size of the CSV in bytes.
    pub csv_size: u64,
    /// The ETag and the size in bytes of the linked image.
    pub image: Option<(Box<str>, u64)>,
}
