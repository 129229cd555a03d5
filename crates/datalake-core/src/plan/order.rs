//! The common order of a listing and of the recorded rows, so that both can be merged as streams.
//!
//! Listings are in key order and the table is in the order of IDs, and these differ: `a-b.csv` < `a.csv`, but `a` < `a-b`. Both are
//! therefore brought into the order of the last key that a row's sources can have, `src-data/{user_id}.png`. Every row between the first
//! possible key of a row and that last one has an ID that begins with the row's ID. At most [`RowId::BYTES_MAX`] rows are therefore
//! pending at any time, and memory does not grow with the number of sources.

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
    /// The sources of a row.
    Row(RowSources),
    /// An object that is not a source.
    Ignored(SourceObject, IgnoreCode),
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

/// Groups the objects of a listing by row, and returns the rows in the common order.
#[derive(Debug)]
pub struct SourceGrouper {
    dataset: Arc<Dataset>,
    /// By the last key that the row's sources can have.
    pending: BTreeMap<String, PendingRow>,
    /// The key of the last source, to detect a listing that is out of order. Ignored objects are not checked, because names that are not UTF-8
    /// have no defined order.
    previous: Option<Box<str>>,
}

/// A row whose next source may still be listed.
#[derive(Debug)]
struct PendingRow {
    row_id: RowId,
    csv: Option<SourceObject>,
    files: Box<[Option<SourceObject>]>,
}

impl SourceGrouper {
    /// Groups objects of this dataset.
    pub fn new(dataset: Arc<Dataset>) -> Self {
        Self {
            dataset,
            pending: BTreeMap::new(),
            previous: None,
        }
    }

    /// Adds the next object of the listing, and appends to `out` the entries that are complete.
    pub fn push(&mut self, object: SourceObject, out: &mut Vec<ListingEntry>) -> Result<(), OutOfOrder> {
        // The marker of the folder itself concerns no row.
        if &*object.key == keys::SOURCES {
            return Ok(());
        }
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
        while let Some(first) = self.pending.first_entry()
            && first.key().as_str() < &*object.key
        {
            first.remove().complete(out);
        }
        let last_key = keys::last_source(&self.dataset, &source.row_id);
        let pending = self.pending.entry(last_key).or_insert_with(|| PendingRow {
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
        for pending in self.pending.into_values() {
            pending.complete(out);
        }
    }
}

impl PendingRow {
    fn complete(self, out: &mut Vec<ListingEntry>) {
        match self.csv {
            Some(csv) => out.push(ListingEntry::Row(RowSources {
                row_id: self.row_id,
                csv,
                files: self.files,
            })),
            None => {
                let orphans = self.files.into_iter().flatten();
                out.extend(orphans.map(|file| ListingEntry::Ignored(file, IgnoreCode::OrphanImage)));
            }
        }
    }
}

/// Reorders recorded rows from the order of their IDs to the common order.
#[derive(Debug)]
pub struct KeyOrder {
    dataset: Arc<Dataset>,
    /// By the last key that the row's sources can have.
    pending: BTreeMap<String, RecordedRow>,
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
        let first_key = keys::first_source_from(&self.dataset, &row.row_id);
        while let Some(first) = self.pending.first_entry()
            && *first.key() <= first_key
        {
            out.push(first.remove());
        }
        self.pending.insert(keys::last_source(&self.dataset, &row.row_id), row);
    }

    /// Appends the remaining rows to `out` after the last one.
    pub fn finish(self, out: &mut Vec<RecordedRow>) {
        out.extend(self.pending.into_values());
    }
}

/// Compares the next rows of two streams that are in the common order.
pub fn compare_key_order(dataset: &Dataset, listed: &RowId, recorded: &RowId) -> Ordering {
    keys::last_source(dataset, listed).cmp(&keys::last_source(dataset, recorded))
}

#[cfg(test)]
mod tests;
