//! The data of the page, as far as it can show them.

use datalake_table::memory::snapshot::Snapshot;
use jiff::Timestamp;

use crate::{diff::model::Changes, page::run_permission::RunPermission};
use datalake_api::lake_label::LakeLabel;
use datalake_runs::run::Run;

/// The data of the page.
pub(crate) struct RunPage<'a> {
    pub(crate) run: &'a Run,
    pub(crate) title: &'a str,
    pub(crate) changes: &'a RunChanges,
    /// The version at the end of the run, which records the details of rejected sources.
    pub(crate) recorded: Option<&'a Snapshot>,
    /// How commands address the lake, for clients that may know it.
    pub(crate) lake: Option<&'a LakeLabel>,
    pub(crate) permission: RunPermission,
    /// Scheme, host and port of the server.
    pub(crate) origin: &'a str,
    pub(crate) now: Timestamp,
}

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
