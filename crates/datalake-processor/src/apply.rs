//! Makes new rows from the old rows and from what was read. Performs no I/O.

use std::collections::BTreeMap;

use datalake_core::{count::count, dataset::Dataset, row::Row, row_id::RowId, run::RunId};
use datalake_table::delta::edit::Edit;

use crate::{
    file_copies::copy_new::FileUpdate,
    read::{CsvRead, RowRead},
};

/// How a run changes the rows of the table.
#[derive(Debug, Default)]
pub(crate) struct RowChanges {
    /// Sorted by ID. Includes rows that only record other ETags.
    pub(crate) edits: Vec<Edit>,
    /// Whether a reader can see a difference. If not, nothing is committed.
    pub(crate) is_visible: bool,
    /// IDs of rows with a linked file that was added or replaced, has a new version, or was unlinked.
    pub(crate) file_updates: Vec<RowId>,
    /// Files that are linked and copied.
    pub(crate) files_copied: u64,
    pub(crate) added: u64,
    pub(crate) changed: u64,
    pub(crate) removed: u64,
}

/// The rows before a run, of the sources that were read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldRows<'a> {
    pub(crate) rows: &'a BTreeMap<RowId, Row>,
    /// Their declaration, if it is another than that of the run. Then none of their values is kept, and every new row is put.
    pub(crate) other: Option<&'a Dataset>,
}

/// Makes the new row of `dataset` for the sources of each ID that were read. `files` are in the order of `reads`.
pub(crate) fn apply(dataset: &Dataset, old: OldRows<'_>, reads: Vec<RowRead>, files: Vec<Box<[FileUpdate]>>, run_id: &RunId) -> RowChanges {
    let mut changes = RowChanges::default();
    let is_comparable = old.other.is_none_or(|other| other.has_same_columns(dataset));
    for (read, files) in reads.into_iter().zip(files) {
        let old_row = old.rows.get(&read.row_id);
        let mut updates = files.iter().enumerate();
        let is_linked = updates.any(|(index, update)| links_other_bytes(index, update, old_row, old.other));
        let is_copied = |(index, _): &(usize, _)| matches!(files.get(*index), Some(FileUpdate::Link(_)));
        changes.files_copied += count(dataset.copied_files().filter(is_copied).count());
        let mut new = new_row(old_row.filter(|_| old.other.is_none()), read, files, run_id);
        let is_equal = match (old_row, &new) {
            (Some(old), Some(new)) => is_comparable && old.is_visibly_equal(new) && !is_linked,
            _ => false,
        };
        // A row names the last run that changed it, not one that only found its bytes under another ETag.
        if let (Some(old), Some(new), true) = (old_row, &mut new, is_equal) {
            new.run_id = old.run_id.clone();
        }
        changes.add(old_row, new, is_equal, old.other.is_some());
    }
    changes
}

/// Whether the update of a file links other bytes than the old row. After a change of the declaration, every file is linked again.
fn links_other_bytes(index: usize, update: &FileUpdate, old: Option<&Row>, other: Option<&Dataset>) -> bool {
    let FileUpdate::Link(linked) = update else { return false };
    let same = || {
        old.and_then(|old| old.file(index))
            .is_some_and(|old| old.matches(&linked.etag, linked.size))
    };
    other.is_none() || !same()
}

/// The row after the run; none if its source no longer exists or was never valid.
fn new_row(old: Option<&Row>, read: RowRead, files: Box<[FileUpdate]>, run_id: &RunId) -> Option<Row> {
    let (values, csv) = match read.csv {
        CsvRead::Gone => return None,
        CsvRead::Valid { values, object, .. } => (values.into(), object.into_provenance()),
        // The last valid row is kept.
        CsvRead::Same | CsvRead::Rejected { .. } => {
            let old = old?;
            (old.values.clone(), old.csv.clone())
        }
    };
    let file = |(index, update): (usize, FileUpdate)| match update {
        FileUpdate::Keep => old.and_then(|old| old.file(index)).cloned(),
        FileUpdate::Unlink => None,
        FileUpdate::Link(provenance) | FileUpdate::UpdateEtag(provenance) => Some(provenance),
    };
    Some(Row {
        row_id: read.row_id,
        values,
        csv,
        files: files.into_iter().enumerate().map(file).collect(),
        run_id: run_id.clone(),
    })
}

impl RowChanges {
    /// Adds the change of a row. `is_equal`: readers see no difference. `is_put`: the new row is written even if it is equal.
    fn add(&mut self, old: Option<&Row>, new: Option<Row>, is_equal: bool, is_put: bool) {
        let old_files = old.map(|old| &old.files).filter(|files| files.iter().any(Option::is_some));
        let new_files = new.as_ref().map(|new| &new.files).filter(|files| files.iter().any(Option::is_some));
        if old_files != new_files
            && let Some(row) = old.or(new.as_ref())
        {
            self.file_updates.push(row.row_id.clone());
        }
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => {
                self.added += 1;
                self.is_visible = true;
                self.edits.push(Edit::Put(new));
            }
            (Some(old), None) => {
                self.removed += 1;
                self.is_visible = true;
                self.edits.push(Edit::Remove(old.row_id.clone()));
            }
            (Some(old), Some(new)) => {
                if !is_equal {
                    self.changed += 1;
                    self.is_visible = true;
                }
                if *old != new || !is_equal || is_put {
                    self.edits.push(Edit::Put(new));
                }
            }
        }
    }
}
