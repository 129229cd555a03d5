//! Data files, as the log describes them.

use std::{cmp::Ordering, sync::Arc};

use datalake_core::keys;

use crate::delta::actions::Add;

/// A data file of the table. Files are immutable, so two values with the same path are equal.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// The path in the log: relative to the table's root, percent-encoded.
    pub path: Box<str>,
    /// The size in bytes.
    pub size: u64,
    /// The number of rows.
    pub rows: u64,
    /// A lower bound of the IDs. For files of other engines, no row may have this ID.
    pub min_id: Box<str>,
    /// An upper bound of the IDs. For files of other engines, no row may have this ID.
    pub max_id: Box<str>,
    /// The action that added the file, which checkpoints repeat.
    pub(crate) add: Arc<Add>,
}

impl DataFile {
    /// The key of the file in the lake.
    pub fn key(&self) -> String {
        keys::table_file(&percent_decoded(&self.path))
    }

    /// Whether the file can contain a row with this ID.
    pub fn may_contain(&self, row_id: &str) -> bool {
        *self.min_id <= *row_id && *row_id <= *self.max_id
    }

    /// The order of data files in a version.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        (&self.min_id, &self.max_id, &self.path).cmp(&(&other.min_id, &other.max_id, &other.path))
    }
}

impl PartialEq for DataFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for DataFile {}

/// Decodes a path of the log. The protocol uses URIs, so paths of other engines may contain `%20`.
pub(crate) fn percent_decoded(path: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
    decoded.map_or_else(|_| path.to_owned(), Into::into)
}

/// Groups consecutive data files whose ranges of IDs overlap. Files of this product never overlap, so each is a cluster by
/// itself. `data_files` are in the order of a version.
pub(crate) fn clusters(data_files: &[Arc<DataFile>]) -> impl Iterator<Item = &[Arc<DataFile>]> {
    let mut clusters = Vec::new();
    let (mut start, mut greatest) = (0, None::<&str>);
    for (index, file) in data_files.iter().enumerate() {
        if greatest.is_some_and(|greatest| greatest < &*file.min_id) {
            clusters.extend(data_files.get(start..index));
            start = index;
        }
        greatest = greatest.max(Some(&*file.max_id));
    }
    clusters.extend(data_files.get(start..).filter(|rest| !rest.is_empty()));
    clusters.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(percent_decoded(path), expected, "path: {path}");
    }

    #[test]
    fn paths_are_percent_decoded() {
        check("part-1.parquet", "part-1.parquet");
        check("a%20b/c%3D1.parquet", "a b/c=1.parquet");
        check("100%", "100%");
        check("%zz%4", "%zz%4");
        check("%+5%-1", "%+5%-1");
        check("%C3%A9", "é");
        check("%FF", "%FF");
    }
}
