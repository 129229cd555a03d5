//! Names that resemble the name of a source, so that messages can suggest the intended name.

use super::{folder_of, parse_source};
use crate::{
    dataset::{Dataset, KeyPattern, KeyRole},
    reject::IgnoreCode,
    row_id::RowId,
    text,
};

/// How a name differs from the nearest name of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameDifference {
    /// Only in the case of its extension: `1.Png`.
    Case,
    /// Only by white space or invisible characters: `1.csv `.
    WhiteSpace,
    /// By another extension after that of a source: `1.csv.txt`.
    SecondExtension,
    /// By the extension of another image format: `1.jpg`.
    ImageType,
    /// By the extension of another table format: `1.xlsx`.
    TableType,
}

/// The source that an ignored name was probably meant to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The row whose source it would be.
    pub row_id: RowId,
    /// Whether it would be the source of the row, or one of its files.
    pub role: KeyRole,
    /// The key that the source would have.
    pub key: String,
    /// How the name differs from that key.
    pub difference: NameDifference,
}

const IMAGE_TYPES: &[&str] = &[
    "apng", "avif", "bmp", "gif", "heic", "heif", "jfif", "jpe", "jpeg", "jpg", "jxl", "svg", "tif", "tiff", "webp",
];

const TABLE_TYPES: &[&str] = &["numbers", "ods", "parquet", "psv", "tab", "tsv", "xls", "xlsm", "xlsx"];

/// The source that an ignored object was probably meant to be; none if its name resembles no name of a source.
pub fn near_miss_of(dataset: &Dataset, key: &str) -> Option<NearMiss> {
    match parse_source(dataset, key) {
        // The ID of ` 1.csv` is invalid only because of white space.
        Err(IgnoreCode::UnknownKind | IgnoreCode::BadId) => {
            let folder = folder_of(dataset, key)?;
            near_miss(dataset, folder, key.strip_prefix(folder)?)
        }
        _ => None,
    }
}

/// The source that a name in this folder was probably meant to be, if the name is not that of a source but resembles one.
pub(crate) fn near_miss(dataset: &Dataset, folder: &str, name: &str) -> Option<NearMiss> {
    let new = |stem: &str, extension: &str, difference| {
        let key = format!("{folder}{stem}.{extension}");
        // A name that would itself be ignored is not a correction.
        let found = parse_source(dataset, &key).ok()?;
        Some(NearMiss {
            row_id: found.row_id,
            role: found.role,
            key,
            difference,
        })
    };
    let source_type = extension_of(dataset.key());
    let mut file_types = dataset.files().iter().filter_map(|file| extension_of(&file.key));
    let source_extension = |extension: &str| {
        let mut known = source_type.into_iter().chain(file_types.clone());
        known.find(|known| extension.eq_ignore_ascii_case(known))
    };
    let is_kept = |character: &char| character.is_whitespace() || !text::is_invisible(*character);
    let visible: String = name.chars().filter(is_kept).collect();
    let (stem, extension) = visible.trim().rsplit_once('.')?;
    let stem = stem.trim_end();
    if stem.len() + 1 + extension.len() != name.len() {
        return new(stem, source_extension(extension)?, NameDifference::WhiteSpace);
    }
    if let Some(extension) = source_extension(extension) {
        return new(stem, extension, NameDifference::Case);
    }
    if let Some((stem, first)) = stem.rsplit_once('.')
        && let Some(first) = source_extension(first)
    {
        return new(stem, first, NameDifference::SecondExtension);
    }
    let lower = extension.to_ascii_lowercase();
    if IMAGE_TYPES.contains(&&*lower) {
        return new(stem, file_types.find(|extension| *extension == "png")?, NameDifference::ImageType);
    }
    TABLE_TYPES.contains(&&*lower).then(|| {
        new(
            stem,
            source_type.filter(|extension| *extension == "csv")?,
            NameDifference::TableType,
        )
    })?
}

/// The extension of the keys of a pattern whose last placeholder is followed by nothing else.
fn extension_of(pattern: &KeyPattern) -> Option<&str> {
    pattern.literals().last()?.strip_prefix('.')
}

/// The row whose source an object is, or was probably meant to be.
pub fn row_of(dataset: &Dataset, key: &str) -> Option<RowId> {
    match parse_source(dataset, key) {
        Ok(source) => Some(source.row_id),
        Err(_) => near_miss_of(dataset, key).map(|near| near.row_id),
    }
}

#[cfg(test)]
mod tests;
