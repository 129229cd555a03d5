//! What callers write to rows, and what they read to find changed sources.

use datalake_core::{row::Row, user::UserId};

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The row is added, or replaces the user's present one.
    Put(Row),
    /// The user's row is removed, if there is one.
    Remove(UserId),
}

impl Edit {
    /// Whose row it changes.
    pub fn user_id(&self) -> &UserId {
        match self {
            Self::Put(row) => &row.user_id,
            Self::Remove(user_id) => user_id,
        }
    }
}

/// What the table recorded of a user's sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSources {
    /// Whose sources.
    pub user_id: UserId,
    /// The tag of the CSV that the row was read from.
    pub csv_etag: Box<str>,
    /// Its bytes.
    pub csv_size: u64,
    /// Tag and bytes of the linked picture.
    pub image: Option<(Box<str>, u64)>,
}
