//! The recorded state of sources.

use datalake_core::row_id::RowId;

/// The ETag and the size in bytes of an object.
pub type ObjectVersion = (Box<str>, u64);

/// The state of a row's sources that the table records, from which a run finds changed sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSources {
    /// The ID of the row.
    pub row_id: RowId,
    /// The ETag of the CSV from which the row was read.
    pub csv_etag: Box<str>,
    /// The size of the CSV in bytes.
    pub csv_size: u64,
    /// The ETag and the size in bytes of each linked file, in the order of the declaration.
    pub files: Box<[Option<ObjectVersion>]>,
}
