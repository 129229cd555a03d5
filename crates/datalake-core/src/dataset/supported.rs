//! The datasets that this version of the product can run.

use super::{ColumnType, Compression, Dataset, SourceFormat};
use crate::{keys, row_id::RowId};

/// A part of a valid declaration that this version of the product does not implement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} cannot be processed yet; {expected}")]
pub struct UnsupportedDataset {
    found: String,
    expected: &'static str,
}

impl Dataset {
    /// Fails for what runs do not support yet: formats other than CSV, composite IDs, other IDs than those of [`RowId`], and keys
    /// outside [`keys::SOURCES`].
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
        let placeholder = &self.key().placeholders()[0];
        let of_ids = |ids: &str| format!("{ids}, which the key {} allows,", self.key().as_str());
        if !placeholder.has_default_characters() {
            return unsupported(
                of_ids("an ID with other characters than A-Z a-z 0-9 . _ -"),
                "use a regular expression for these characters, like {id:[0-9]{4}}",
            );
        }
        if !placeholder.fits(RowId::BYTES_MAX) {
            return unsupported(
                of_ids("an ID of more than 64 characters"),
                "use a regular expression for at most 64 characters, like {id:[0-9]{1,64}}",
            );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(placeholder: &str, cause: Option<&str>) {
        let dataset = Dataset::parse(&format!("source.key = 'src-data/{placeholder}.csv'\n")).unwrap();
        let error = dataset.check_supported().map_err(|error| error.to_string()).err();
        match (&error, cause) {
            (None, None) => {}
            (Some(error), Some(cause)) => assert!(error.contains(cause) && error.contains("cannot be processed yet"), "{error}"),
            _ => panic!("{placeholder}: {error:?}"),
        }
    }

    #[test]
    fn ids_have_the_characters_and_lengths_of_user_ids() {
        for placeholder in [
            "{id}",
            "{id:[0-9]+}",
            "{id:[0-9]{4}}",
            "{id:[a-f0-9]{64}}",
            "{id:(?:A-|b_)[0-9]{1,3}}",
            "{id:(?-u:[a-z])}",
        ] {
            check(placeholder, None);
        }
        for placeholder in ["{id:.+}", "{id:\\p{L}+}", "{id:[a-z ]+}", "{id:a|é}", "{id:[0-9]{4}(?:~x)?}"] {
            check(placeholder, Some("with other characters than A-Z a-z 0-9 . _ -, which the key"));
        }
        for placeholder in ["{id:[0-9]{65}}", "{id:[0-9]{1,65}}", "{id:[0-9]{65,}}"] {
            check(placeholder, Some("more than 64 characters"));
        }
    }
}
