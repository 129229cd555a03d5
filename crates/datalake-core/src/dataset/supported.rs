//! The datasets that this version of the product can run.

use super::{ColumnType, Compression, Dataset, SourceFormat, ValueRef};
use crate::{calendar::Day, row_id::RowId};

/// A part of a valid declaration that this version of the product does not implement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} cannot be processed yet; {expected}")]
pub struct UnsupportedDataset {
    found: String,
    expected: &'static str,
}

impl Dataset {
    /// Fails for what runs do not support yet: formats other than CSV, times with colons in keys, other values than those of [`RowId`], keys in
    /// no folder, and keys of files that differ from those of the sources other than in their folders and ends.
    pub fn check_supported(&self) -> Result<(), UnsupportedDataset> {
        let unsupported = |found: String, expected| Err(UnsupportedDataset { found, expected });
        if self.format() != SourceFormat::Csv {
            return unsupported(format!("sources of the format {}", self.format().as_str()), "use CSVs");
        }
        if self.compression() != Compression::Plain {
            return unsupported("compressed sources".to_owned(), "store them without compression");
        }
        let of_ids = |ids: &str| format!("{ids}, which the key {} allows,", self.key().as_str());
        for (placeholder, column) in self.key().placeholders().iter().zip(self.columns()) {
            if column.column_type == ColumnType::DateTime {
                return unsupported(
                    format!(
                        "the placeholder {} of the type {}, whose values have colons,",
                        column.name, column.column_type
                    ),
                    "use a date, or an epoch",
                );
            }
            if column.column_type == ColumnType::Date && RowId::of(&[&column.key_text(ValueRef::Date(Day::FIRST))]).is_err() {
                let format = column.date_format.as_deref().unwrap_or_default();
                return unsupported(
                    format!("days with the format {format} in the placeholder {}", column.name),
                    "use a format whose days have only A-Z a-z 0-9 . _ -, like %Y-%m-%d",
                );
            }
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
        }
        for key in [self.key()].into_iter().chain(self.files().iter().map(|file| &file.key)) {
            if key.folder().is_empty() {
                return unsupported(
                    format!("the key {}, which is in no folder,", key.as_str()),
                    "use a key in a folder, like src-data/{id}.csv",
                );
            }
            if !key.differs_only_at_ends(self.key()) {
                return unsupported(
                    format!("the key {}", key.as_str()),
                    "use a key that differs from that of the sources only in its folder and after the last placeholder",
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
    fn check_text(text: &str, cause: Option<&str>) {
        let dataset = Dataset::parse(text).unwrap();
        let error = dataset.check_supported().map_err(|error| error.to_string()).err();
        match (&error, cause) {
            (None, None) => {}
            (Some(error), Some(cause)) => assert!(error.contains(cause) && error.contains("cannot be processed yet"), "{error}"),
            _ => panic!("{text}: {error:?}"),
        }
    }

    #[track_caller]
    fn check(placeholder: &str, cause: Option<&str>) {
        check_text(&format!("source.key = 'src-data/{placeholder}.csv'\n"), cause);
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
            "{a}/{b}",
            "{a}/x-{b:[0-9]}_{c}",
        ] {
            check(placeholder, None);
        }
        for placeholder in [
            "{id:.+}",
            "{id:\\p{L}+}",
            "{id:[a-z ]+}",
            "{id:a|é}",
            "{id:[0-9]{4}(?:~x)?}",
            "{a}/{b:.+}",
        ] {
            check(placeholder, Some("with other characters than A-Z a-z 0-9 . _ -, which the key"));
        }
        for placeholder in ["{id:[0-9]{65}}", "{id:[0-9]{1,65}}", "{id:[0-9]{65,}}", "{a:[0-9]{65}}/{b}"] {
            check(placeholder, Some("more than 64 characters"));
        }
    }

    #[test]
    fn keys_of_files_differ_only_in_their_folders_and_ends() {
        let check = |source: &str, file: &str, cause: Option<&str>| {
            check_text(
                &format!("source.key = '{source}'\n[files.scan]\nkey = '{file}'\ntypes = ['image/png']\n"),
                cause,
            );
        };
        for file in ["scans/{a}/{b}.png", "src-data/{a}/{b}/scan.png", "src-data/scans/{a}/{b}-scan.png"] {
            check("src-data/{a}/{b}.csv", file, None);
        }
        let other = Some("only in its folder and after the last placeholder");
        for file in ["scans/{b}/{a}.png", "scans/{a}~{b}.png", "scans/{a}/x{b}.png", "scans/x{a}/{b}.png"] {
            check("src-data/{a}/{b}.csv", file, other);
        }
        check("src-data/x{a}.csv", "scans/x{a}.png", None);
        check("src-data/x{a}.csv", "scans/y{a}.png", other);
        check("{a}.csv", "scans/{a}.png", Some("which is in no folder"));
        check("src-data/{a}.csv", "{a}.png", Some("which is in no folder"));
    }

    #[test]
    fn times_in_keys_have_no_colons() {
        let text = |kind: &str| format!("source.key = 'src-data/{{taken}}.csv'\n[columns]\ntaken = '{kind}'\n");
        for kind in ["date", "integer", "number", "boolean", "epoch_s"] {
            check_text(&text(kind), None);
        }
        check_text(&text("datetime"), Some("whose values have colons"));
        for format in ["%D", "%d %b %Y"] {
            let text = format!("source.key = 'src-data/{{taken}}.csv'\n[columns]\ntaken = {{ type = 'date', format = '{format}' }}\n");
            check_text(&text, Some("in the placeholder taken"));
        }
    }
}
