//! Edits of rows.

use datalake_core::{row::Row, row_id::RowId};

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Adds the row, or replaces the current one of its ID.
    Put(Row),
    /// Removes the row if there is one.
    Remove(RowId),
}

impl Edit {
    /// The ID of the changed row.
    pub fn row_id(&self) -> &RowId {
        match self {
            Self::Put(row) => &row.row_id,
            Self::Remove(row_id) => row_id,
        }
    }
}
