//! The common order of the listings and of the recorded rows, so that all can be merged as streams.
//!
//! Listings are in key order and the table is in the order of IDs, and these differ: `a-b.csv` < `a.csv`, but `a` < `a-b`. All are
//! therefore brought into the order of the last name that a row's sources can have in their folder, `{user_id}.png`. Every row between the
//! first possible name of a row and that last one has an ID that begins with the row's ID. At most [`RowId::BYTES_MAX`] rows are therefore
//! pending at any time, and memory does not grow with the number of sources.
//!
//! If several values identify a row, `a-b/1.csv` precedes all of `a/1.csv`, `a/2.csv` and so on, which come first in the table. The recorded rows of
//! one first value are therefore pending at the same time.
//!
//! Sources and files in several folders are listed in as many streams, which are in the same order and are merged.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::{RecordedRow, RowSources, SourceObject};
use crate::{
    dataset::{Dataset, KeyRole},
    keys,
    reject::IgnoreCode,
    row_id::RowId,
};

/// One result of grouping a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListingEntry {
    /// The objects of a row in the folder.
    Row(RowObjects),
    /// An object that is not a source.
    Ignored(SourceObject, IgnoreCode),
}

/// The listed objects of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowObjects {
    /// The place in the common order: the last name that the row's objects can have.
    row_end: String,
    row_id: RowId,
    csv: Option<SourceObject>,
    files: Box<[Option<SourceObject>]>,
}

/// The store listed a key after a greater one, so nothing can be concluded from the listing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store does not list in key order: it listed {key} after {previous}, so changes cannot be detected; use a store that lists in key order"
)]
pub struct OutOfOrder {
    /// The key that was listed too late.
    pub key: String,
    /// The key that was listed before it.
    pub previous: String,
}

/// Groups the objects of the listing of a folder by row, and returns the rows in the common order.
#[derive(Debug)]
pub struct SourceGrouper {
    dataset: Arc<Dataset>,
    folder: Box<str>,
    /// Whether all sources and files are in this folder.
    is_only_folder: bool,
    /// By the last name that the row's objects can have.
    pending: BTreeMap<String, PendingRow>,
    /// The key of the last source, to detect a listing that is out of order. Ignored objects are not checked, because names that are not UTF-8
    /// have no defined order.
    previous: Option<Box<str>>,
}

/// A row whose next object may still be listed.
#[derive(Debug)]
struct PendingRow {
    row_id: RowId,
    csv: Option<SourceObject>,
    files: Box<[Option<SourceObject>]>,
}

impl SourceGrouper {
    /// Groups objects of this dataset in one of [`keys::source_folders`].
    pub fn new(dataset: Arc<Dataset>, folder: &str) -> Self {
        Self {
            is_only_folder: keys::source_folders(&dataset).len() == 1,
            dataset,
            folder: folder.into(),
            pending: BTreeMap::new(),
            previous: None,
        }
    }

    /// Whether an object of the listing concerns this folder: neither the marker of a folder, nor an object that is listed with a folder within this one.
    pub fn concerns(&self, key: &str) -> bool {
        let is_listed_here = self.is_only_folder || keys::folder_of(&self.dataset, key) == Some(&*self.folder);
        is_listed_here && !keys::is_folder_marker(&self.dataset, key)
    }

    /// Adds the next object of the listing that [concerns](Self::concerns) this folder, and appends to `out` the entries that are complete.
    pub fn push(&mut self, object: SourceObject, out: &mut Vec<ListingEntry>) -> Result<(), OutOfOrder> {
        let source = match keys::parse_source(&self.dataset, &object.key) {
            Ok(source) => source,
            Err(code) => {
                out.push(ListingEntry::Ignored(object, code));
                return Ok(());
            }
        };
        if let Some(previous) = self.previous.replace(object.key.clone())
            && previous >= object.key
        {
            return Err(OutOfOrder {
                key: object.key.into(),
                previous: previous.into(),
            });
        }
        let name = object.key.strip_prefix(&*self.folder).unwrap_or_default();
        while let Some(first) = self.pending.first_entry()
            && first.key().as_str() < name
        {
            let (row_end, row) = first.remove_entry();
            out.push(row.listed(row_end));
        }
        let row_end = keys::row_end(&self.dataset, &source.row_id);
        let pending = self.pending.entry(row_end).or_insert_with(|| PendingRow {
            row_id: source.row_id,
            csv: None,
            files: self.dataset.files().iter().map(|_| None).collect(),
        });
        let slot = match source.role {
            KeyRole::Source => &mut pending.csv,
            KeyRole::File(index) => &mut pending.files[index],
        };
        // In key order the upper-case extension comes first.
        if let Some(shadowed) = slot.replace(object) {
            out.push(ListingEntry::Ignored(shadowed, IgnoreCode::Shadowed));
        }
        Ok(())
    }

    /// Appends the remaining entries to `out` after the end of the listing.
    pub fn finish(self, out: &mut Vec<ListingEntry>) {
        out.extend(self.pending.into_iter().map(|(row_end, row)| row.listed(row_end)));
    }
}

impl PendingRow {
    fn listed(self, row_end: String) -> ListingEntry {
        ListingEntry::Row(RowObjects {
            row_end,
            row_id: self.row_id,
            csv: self.csv,
            files: self.files,
        })
    }
}

impl RowObjects {
    /// Compares two rows in the common order.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.row_end.cmp(&other.row_end)
    }

    /// Adds the objects of the same row in another folder.
    pub fn merge(&mut self, other: Self) {
        self.csv = self.csv.take().or(other.csv);
        for (file, other) in self.files.iter_mut().zip(other.files) {
            *file = file.take().or(other);
        }
    }

    /// The sources of the row, or the files that have no CSV.
    pub fn complete(self) -> Result<RowSources, Vec<SourceObject>> {
        match self.csv {
            Some(csv) => Ok(RowSources {
                row_id: self.row_id,
                csv,
                files: self.files,
            }),
            None => Err(self.files.into_iter().flatten().collect()),
        }
    }
}

/// Reorders recorded rows from the order of their IDs to the common order.
#[derive(Debug)]
pub struct KeyOrder {
    dataset: Arc<Dataset>,
    /// By the last name that the row's sources can have. Rows of another declaration, whose IDs have more values, can have the same name.
    pending: BTreeMap<(String, RowId), RecordedRow>,
}

impl KeyOrder {
    /// The order of the keys of this dataset.
    pub fn new(dataset: Arc<Dataset>) -> Self {
        Self {
            dataset,
            pending: BTreeMap::new(),
        }
    }

    /// Adds the next row in the byte order of IDs, and appends to `out` the rows that no later row can precede.
    pub fn push(&mut self, row: RecordedRow, out: &mut Vec<RecordedRow>) {
        let row_start = keys::row_start(&self.dataset, &row.row_id);
        while let Some(first) = self.pending.first_entry()
            && first.key().0 <= row_start
        {
            out.push(first.remove());
        }
        let key = (keys::row_end(&self.dataset, &row.row_id), row.row_id.clone());
        self.pending.insert(key, row);
    }

    /// Appends the remaining rows to `out` after the last one.
    pub fn finish(self, out: &mut Vec<RecordedRow>) {
        out.extend(self.pending.into_values());
    }
}

/// Compares the next rows of two streams that are in the common order.
pub fn compare_key_order(dataset: &Dataset, listed: &RowId, recorded: &RowId) -> Ordering {
    // Most rows have not changed.
    if listed == recorded {
        return Ordering::Equal;
    }
    let by_name = keys::row_end(dataset, listed).cmp(&keys::row_end(dataset, recorded));
    by_name.then_with(|| listed.cmp(recorded))
}

#[cfg(test)]
mod tests;
