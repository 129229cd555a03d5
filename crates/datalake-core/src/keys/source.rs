//! The keys of sources: which names are those of sources, and which objects are ignored.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::SOURCES;
use crate::{
    dataset::{Dataset, FileColumn, KeyMismatch, KeyPattern, KeyRole},
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

/// A key in the folder of the sources that names a row's source.
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

/// Parses a key in the folder of the sources: it names a source or a file of a row, or the object is ignored for the returned reason. The folder marker
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
    let row_id = RowId::of(&found.values).map_err(|_| IgnoreCode::BadId)?;
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

/// The patterns of the sources and of their files.
pub(crate) fn patterns(dataset: &Dataset) -> impl Iterator<Item = &KeyPattern> + Clone {
    [dataset.key()].into_iter().chain(dataset.files().iter().map(|file| &file.key))
}

/// The folders of the sources and of their files, sorted and unique. One may be in another.
pub fn source_folders(dataset: &Dataset) -> BTreeSet<&str> {
    patterns(dataset).map(KeyPattern::folder).collect()
}

/// The innermost folder that contains the sources and their files; empty for the lake itself.
pub fn common_folder(dataset: &Dataset) -> &str {
    let mut common = dataset.key().folder();
    for folder in source_folders(dataset) {
        while !folder.starts_with(common) {
            let parent = common.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
            common = &common[..parent];
        }
    }
    common
}

/// The names of the sources and of their files in [`common_folder`]: `{user_id}.csv`, `scans/{id}.png`.
pub fn name_templates(dataset: &Dataset) -> Vec<String> {
    let start = common_folder(dataset).len();
    patterns(dataset).map(|pattern| pattern.template().split_off(start)).collect()
}

/// The folder with which an object is listed, if it is in one of the folders of the sources: that of its pattern, or else the innermost one.
pub fn folder_of<'d>(dataset: &'d Dataset, key: &str) -> Option<&'d str> {
    let by_pattern = match dataset.match_key(key) {
        Ok((KeyRole::Source, _)) => Some(dataset.key().folder()),
        Ok((KeyRole::File(index), _)) => Some(dataset.files()[index].key.folder()),
        Err(_) => None,
    };
    let innermost = || {
        let folders = patterns(dataset).map(KeyPattern::folder).filter(|folder| key.starts_with(folder));
        folders.max_by_key(|folder| folder.len())
    };
    by_pattern.or_else(innermost)
}

/// Whether a folder contains keys of sources or of their files, also in its folders. `folder` ends with a slash.
pub fn is_above_sources(dataset: &Dataset, folder: &str) -> bool {
    let contains = |pattern: &KeyPattern| match folder.strip_prefix(pattern.folder()) {
        Some(_) => folder.matches('/').count() <= pattern.depth(),
        None => pattern.folder().starts_with(folder),
    };
    patterns(dataset).any(contains)
}

/// Whether an object is the marker of a folder that sources or files are in, which concerns no row.
pub fn is_folder_marker(dataset: &Dataset, key: &str) -> bool {
    let is_marker = |pattern: &KeyPattern| key.starts_with(pattern.folder()) && key.matches('/').count() <= pattern.depth();
    key.ends_with('/') && patterns(dataset).any(is_marker)
}

/// The key of the source with this file name.
pub fn source(name: &str) -> String {
    format!("{SOURCES}{name}")
}

/// The keys that the source of a row can have. If several exist, the first one is the source.
pub fn csv_sources(dataset: &Dataset, row_id: &RowId) -> Vec<String> {
    dataset.key().spellings(row_id)
}

/// The keys that a file of a row can have. If several exist, the first one is the file.
pub fn file_sources(file: &FileColumn, row_id: &RowId) -> Vec<String> {
    file.key.spellings(row_id)
}

/// The last name that an object of the row can have in its folder: after it, a listing of the folder in key order contains no more objects of the row.
pub(crate) fn row_end(dataset: &Dataset, row_id: &RowId) -> String {
    let key = dataset.key();
    let end = patterns(dataset).filter_map(|pattern| pattern.literals().last()).max();
    // The names of a row differ only after the last value: `Dataset::check_supported`.
    let first = key.literals().first().and_then(|first| first.strip_prefix(key.folder()));
    let others = key.parts(row_id.as_str()).iter().take(2 * dataset.id_columns()).skip(1);
    let parts = first.into_iter().chain(others).chain(end.map(|end| &**end));
    let mut name = String::with_capacity(parts.clone().map(str::len).sum());
    name.extend(parts);
    name
}

/// A name that no object of this row, or of a row with a greater ID, precedes in its folder. The first value decides: `a-b/1.csv` precedes `a/2.csv`, but `a` is less
/// than `a-b`.
pub(crate) fn row_start(dataset: &Dataset, row_id: &RowId) -> String {
    let before = dataset
        .key()
        .literals()
        .first()
        .and_then(|literal| literal.strip_prefix(dataset.key().folder()));
    [before.unwrap_or_default(), row_id.values().next().unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests;
