//! Makes new rows from the old rows and from what was read. Performs no I/O.

use std::collections::BTreeMap;

use datalake_core::{dataset::Dataset, row::Row, row_id::RowId, run::RunId};
use datalake_table::delta::edit::Edit;

use crate::{
    images::copy_new::ImageUpdate,
    read::{CsvRead, RowRead},
};

/// How a run changes the rows of the table.
#[derive(Debug, Default)]
pub(crate) struct RowChanges {
    /// Sorted by ID. Includes rows that only record other ETags.
    pub(crate) edits: Vec<Edit>,
    /// Whether a reader can see a difference. If not, nothing is committed.
    pub(crate) is_visible: bool,
    /// IDs of rows whose linked image was added or replaced, has a new version, or was unlinked.
    pub(crate) image_updates: Vec<RowId>,
    /// Images that are linked, after they were copied if the dataset has copies.
    pub(crate) images_linked: u64,
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

/// Makes the new row of `dataset` for the sources of each ID that were read. `images` are in the order of `reads`.
pub(crate) fn apply(dataset: &Dataset, old: OldRows<'_>, reads: Vec<RowRead>, images: Vec<ImageUpdate>, run_id: &RunId) -> RowChanges {
    let mut changes = RowChanges::default();
    let is_comparable = old.other.is_none_or(|other| other.has_same_columns(dataset));
    for (read, image) in reads.into_iter().zip(images) {
        let old_row = old.rows.get(&read.row_id);
        let is_linked = links_other_bytes(&image, old_row, old.other);
        changes.images_linked += u64::from(matches!(image, ImageUpdate::Link(_)));
        let mut new = new_row(dataset, old_row.filter(|_| old.other.is_none()), read, image, run_id);
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

/// Whether an update links other bytes than the old row. After a change of the declaration, every image is linked again.
fn links_other_bytes(image: &ImageUpdate, old: Option<&Row>, other: Option<&Dataset>) -> bool {
    let ImageUpdate::Link(linked) = image else { return false };
    let same = || {
        old.and_then(|old| old.file(0))
            .is_some_and(|old| old.matches(&linked.etag, linked.size))
    };
    other.is_none() || !same()
}

/// The row after the run; none if its source no longer exists or was never valid.
fn new_row(dataset: &Dataset, old: Option<&Row>, read: RowRead, image: ImageUpdate, run_id: &RunId) -> Option<Row> {
    let (values, csv) = match read.csv {
        CsvRead::Gone => return None,
        CsvRead::Valid { values, object, .. } => (values.into(), object.into_provenance()),
        // The last valid row is kept.
        CsvRead::Same | CsvRead::Rejected { .. } => {
            let old = old?;
            (old.values.clone(), old.csv.clone())
        }
    };
    let image = match image {
        ImageUpdate::Keep => old.and_then(|old| old.files.first().cloned().flatten()),
        ImageUpdate::Unlink => None,
        ImageUpdate::Link(provenance) | ImageUpdate::UpdateEtag(provenance) => Some(provenance),
    };
    Some(Row {
        row_id: read.row_id,
        values,
        csv,
        // There is at most one: `Dataset::check_supported`.
        files: dataset.files().iter().map(|_| image.clone()).collect(),
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
            self.image_updates.push(row.row_id.clone());
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
