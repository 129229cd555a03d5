//! The keys of sources: which names are those of sources, and which objects are ignored.

use std::sync::LazyLock;

use regex::Regex;

use super::SOURCES;
use crate::{
    dataset::{Dataset, FileColumn, KeyMismatch, KeyRole},
    reject::IgnoreCode,
    row_id::RowId,
};

/// The case of the extension of a source. If objects of both cases exist, the one in lower case is the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionCase {
    /// `.csv`, `.png`
    Lower,
    /// `.CSV`, `.PNG`
    Upper,
}

/// A key under `src-data/` that names a row's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceKey {
    /// The ID of the row.
    pub row_id: RowId,
    /// Whether it is the source of the row, or one of its files.
    pub role: KeyRole,
    /// The case of its extension.
    pub extension_case: ExtensionCase,
}

/// Names of temporary and sidecar files; upper and lower case are equivalent. The documentation lists them (docs/src/lake-format.md).
const TEMPORARY_NAMES: &[&str] = &[
    // Metadata of macOS, thumbnails and view settings of file managers.
    r"\._.*",
    r"\.ds_store",
    r"thumbs\.db",
    r"desktop\.ini",
    // Locks and owner files of LibreOffice and Microsoft Office.
    r"\.~.*",
    r"~\$.*",
    // Backups and swap files of editors: Emacs, Vim, GNOME.
    r".*~",
    r"\.#.*",
    r"#.*#",
    r".*\.sw[a-p]",
    r".*\.(bak|orig|old|save)",
    r"\.goutputstream-.*",
    // Unfinished copies: rsync, browsers, SFTP and download tools.
    r"\..*\.(csv|png)\.[a-z0-9]{6}",
    r".*\.(part|partial|tmp|temp|filepart|crdownload|download|opdownload|aria2|!ut)",
    r".*\.(part|partial|tmp|temp)\.(csv|png)",
    // Names that got their extension twice.
    r".*\.csv\.csv",
    r".*\.png\.png",
    // Conflicts: Syncthing, Dropbox, Nextcloud.
    r".*\.sync-conflict-.*",
    r"~syncthing~.*",
    r"\.syncthing\..*",
    r".*conflicted copy.*",
    // Removed or replaced files that are still open: NFS, FUSE.
    r"\.nfs[0-9a-f]{8,}",
    r"\.fuse_hidden.*",
];

static TEMPORARY_NAME: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!("(?si)^(?:{})$", TEMPORARY_NAMES.join("|"));
    Regex::new(&pattern).expect("the patterns are constants that the tests compile")
});

/// Parses a key under `src-data/`: it names a source or a file of a row, or the object is ignored for the returned reason. The folder marker
/// itself is neither; the caller skips it.
pub fn parse_source(dataset: &Dataset, key: &str) -> Result<SourceKey, IgnoreCode> {
    let found = match dataset.match_key(key) {
        Err(KeyMismatch::OtherFolder) => return Err(IgnoreCode::UnknownKind),
        Err(KeyMismatch::Nested) => return Err(IgnoreCode::Nested),
        found => found,
    };
    if TEMPORARY_NAME.is_match(key.rsplit('/').next().unwrap_or_default()) {
        return Err(IgnoreCode::Temporary);
    }
    let (role, found) = found.map_err(|mismatch| match mismatch {
        KeyMismatch::InvalidValue => IgnoreCode::BadId,
        KeyMismatch::OtherFolder | KeyMismatch::Nested | KeyMismatch::OtherName => IgnoreCode::UnknownKind,
    })?;
    let row_id = found.values.first().and_then(|id| RowId::parse(id).ok()).ok_or(IgnoreCode::BadId)?;
    let extension_case = match found.has_upper_extension {
        true => ExtensionCase::Upper,
        false => ExtensionCase::Lower,
    };
    Ok(SourceKey {
        row_id,
        role,
        extension_case,
    })
}

/// The key of the source with this file name.
pub fn source(name: &str) -> String {
    format!("{SOURCES}{name}")
}

/// The keys that the source of a row can have. If several exist, the first one is the source.
pub fn csv_sources(dataset: &Dataset, row_id: &RowId) -> Vec<String> {
    dataset.key().spellings(row_id.as_str())
}

/// The keys that a file of a row can have. If several exist, the first one is the file.
pub fn file_sources(file: &FileColumn, row_id: &RowId) -> Vec<String> {
    file.key.spellings(row_id.as_str())
}

/// The last key that an object of the row can have: after it, a listing in key order contains no more objects of the row.
pub(crate) fn last_source(dataset: &Dataset, row_id: &RowId) -> String {
    let patterns = [dataset.key()].into_iter().chain(dataset.files().iter().map(|file| &file.key));
    let keys = patterns.map(|pattern| pattern.key_of_id(row_id.as_str()));
    let last = keys.max_by(|left, right| left[2].cmp(right[2]));
    last.map(|parts| parts.concat()).unwrap_or_default()
}

/// A key that no object of this row, or of a row with a greater ID, precedes.
pub(crate) fn first_source_from(dataset: &Dataset, row_id: &RowId) -> String {
    let [before, id, _] = dataset.key().key_of_id(row_id.as_str());
    [before, id].concat()
}

#[cfg(test)]
mod tests;
