//! The differences between a listing of the sources and what the table recorded, decided without reading a source.
//!
//! Owns the comparison of one row's sources ([`compare`]), the common order of both streams (`plan/order.rs`) and the guards against
//! mistakes that would change many rows at once (`plan/guards.rs`). Nothing here reads a source or the table.

mod guards;
mod order;

use jiff::Timestamp;

pub use self::{
    guards::{DeletionGuard, GuardError, ListingStats, RejectRatio, guard_deletions, guard_folders, guard_rejects},
    order::{KeyOrder, ListingEntry, OutOfOrder, RowObjects, SourceGrouper, compare_key_order},
};
use crate::{row::Provenance, row_id::RowId, run::RunMode};

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceObject {
    /// The key as the store lists it.
    pub key: Box<str>,
    /// The ETag of its bytes.
    pub etag: Box<str>,
    /// Its size in bytes.
    pub size: u64,
    /// When the store received it.
    pub modified: Timestamp,
}

impl SourceObject {
    /// What a row records of the object that it was read from.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            etag: self.etag.clone(),
            size: self.size,
            modified: self.modified,
        }
    }

    /// What a row records of the object that it was read from, without a copy of the ETag.
    pub fn into_provenance(self) -> Provenance {
        Provenance {
            etag: self.etag,
            size: self.size,
            modified: self.modified,
        }
    }
}

/// The listed sources of one row: a CSV, with or without each of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSources {
    /// The ID of the row.
    pub row_id: RowId,
    /// The row's CSV.
    pub csv: SourceObject,
    /// The row's files, in the order of the declaration.
    pub files: Box<[Option<SourceObject>]>,
}

/// A version of a source that an earlier run evaluated: the source is not read again while the listing shows this version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceVersion {
    /// The key, if the version belongs to one spelling of the extension only: a reject is recorded under its key.
    pub key: Option<Box<str>>,
    /// The ETag of its bytes.
    pub etag: Box<str>,
    /// Its size in bytes.
    pub size: u64,
}

impl SourceVersion {
    fn matches(&self, object: &SourceObject) -> bool {
        self.etag == object.etag && self.size == object.size && self.key.as_ref().is_none_or(|key| *key == object.key)
    }
}

/// What the table recorded of one ID, by a row or a reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRow {
    /// The ID of the row.
    pub row_id: RowId,
    /// Whether there is a row with this ID. A CSV that was never valid has none.
    pub has_row: bool,
    /// The version of the CSV: that of its reject if there is one, else that of the row. None if the CSV must be read again.
    pub csv: Option<SourceVersion>,
    /// Its files, in the order of the declaration. Files beyond the end are not recorded.
    pub files: Box<[RecordedFile]>,
}

/// What the table recorded of one file of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedFile {
    /// The version of the file: that of its reject if there is one, else that of the row. None if the file must be read again, and if the row does
    /// not have it.
    pub version: Option<SourceVersion>,
    /// Whether the last run found the file: the row links it, or it is rejected or waits for a valid source.
    pub exists: bool,
    /// Whether the row links the file.
    pub is_linked: bool,
}

/// What a run does about one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChange {
    /// Nothing: the source is as recorded, or it neither exists nor is recorded.
    Unchanged,
    /// Read it: it is new, differs from what is recorded, or the run reads every source.
    Read(SourceObject),
    /// Remove what is recorded: the source no longer exists.
    Removed,
}

/// What a run does about one row with at least one source to read or to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlan {
    /// The ID of the row.
    pub row_id: RowId,
    /// The CSV. If it is removed, the row is removed.
    pub csv: SourceChange,
    /// The files, in the order of the declaration.
    pub files: Box<[SourceChange]>,
}

/// Compares the listed sources of a row with what is recorded; none if there is nothing to do.
pub fn compare(listed: Option<&RowSources>, recorded: Option<&RecordedRow>, mode: RunMode) -> Option<RowPlan> {
    let Some(sources) = listed else {
        return recorded.map(|recorded| RowPlan {
            row_id: recorded.row_id.clone(),
            csv: SourceChange::Removed,
            files: recorded.files.iter().map(|_| SourceChange::Removed).collect(),
        });
    };
    let compare_source = |object: &SourceObject, version: Option<&SourceVersion>| {
        let is_recorded = version.is_some_and(|version| version.matches(object));
        match mode == RunMode::Incremental && is_recorded {
            true => SourceChange::Unchanged,
            false => SourceChange::Read(object.clone()),
        }
    };
    let csv = compare_source(&sources.csv, recorded.and_then(|recorded| recorded.csv.as_ref()));
    // A new row links its files, whose digests no run has recorded.
    let may_get_row = matches!(csv, SourceChange::Read(_)) && !recorded.is_some_and(|recorded| recorded.has_row);
    let compare_file = |(index, object): (usize, &Option<SourceObject>)| {
        let recorded = recorded.and_then(|recorded| recorded.files.get(index));
        match object {
            Some(object) if may_get_row => SourceChange::Read(object.clone()),
            Some(object) => compare_source(object, recorded.and_then(|recorded| recorded.version.as_ref())),
            None if recorded.is_some_and(|recorded| recorded.exists) => SourceChange::Removed,
            None => SourceChange::Unchanged,
        }
    };
    let files: Box<[SourceChange]> = sources.files.iter().enumerate().map(compare_file).collect();
    let is_changed = files.iter().chain([&csv]).any(|change| *change != SourceChange::Unchanged);
    is_changed.then(|| RowPlan {
        row_id: sources.row_id.clone(),
        csv,
        files,
    })
}

#[cfg(test)]
mod tests;
