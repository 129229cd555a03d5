//! The datasets that this version of the product can run.

use super::{ColumnType, Compression, Dataset, SourceFormat};
use crate::keys;

/// A part of a valid declaration that this version of the product does not implement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} cannot be processed yet; {expected}")]
pub struct UnsupportedDataset {
    found: String,
    expected: &'static str,
}

impl Dataset {
    /// Fails for what runs do not support yet: formats other than CSV, composite IDs, more than one file per row, and keys outside
    /// [`keys::SOURCES`].
    pub fn check_supported(&self) -> Result<(), UnsupportedDataset> {
        let unsupported = |found: String, expected| Err(UnsupportedDataset { found, expected });
        if self.format() != SourceFormat::Csv {
            return unsupported(format!("sources of the format {}", self.format().as_str()), "use CSVs");
        }
        if self.compression() != Compression::Plain {
            return unsupported("compressed sources".to_owned(), "store them without compression");
        }
        if let [_, second, ..] = self.key().placeholders() {
            return unsupported(format!("a key with the second placeholder {}", second.name), "use one placeholder");
        }
        if self.key().placeholders().is_empty() {
            return unsupported(
                "a key without placeholder".to_owned(),
                "use one placeholder, which identifies the row",
            );
        }
        let id = &self.columns()[0];
        if id.column_type != ColumnType::String {
            return unsupported(
                format!("the column {} of the type {}", id.name, id.column_type),
                "a placeholder is a string",
            );
        }
        if let [_, second, ..] = self.files() {
            return unsupported(format!("the second file {}", second.name), "declare at most one file");
        }
        let [folder, _, end] = self.key().key_of_id("");
        if folder != keys::SOURCES || end.contains('/') {
            return unsupported(
                format!("the key {}", self.key().as_str()),
                "use a key like src-data/{id}.csv, which begins with the placeholder after src-data/",
            );
        }
        for file in self.files() {
            let [before, _, end] = file.key.key_of_id("");
            if before != folder || end.contains('/') {
                return unsupported(
                    format!("the key {}", file.key.as_str()),
                    "store the files beside the sources, with a key like src-data/{id}.pdf",
                );
            }
        }
        Ok(())
    }
}
