//! The changes of a run, as far as the page can show them.

use crate::diff::model::Changes;

/// What a run changed in the table.
#[derive(Debug)]
pub(crate) enum RunChanges {
    /// The run created no version.
    None,
    /// The run created the first version: all rows are new.
    FirstVersion { rows: usize },
    /// The run created version `until`, the next after `since`.
    Between { since: u64, until: u64, changes: Changes },
    /// The rows of one of the versions are no longer available.
    Expired,
    /// The versions are being read, or the store cannot be read now.
    Loading,
}
