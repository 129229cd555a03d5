//! Lists a folder store: walks the part of the tree that a prefix names, and sorts by whole keys.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    files::{PRIVATE, object_meta},
    store_error,
};
use crate::{bucket::ObjectMeta, error::StoreError};

/// Deeper folders are not looked into: a loop of symbolic links would never end.
const DEPTH_MAX: usize = 32;

/// The objects whose keys begin with `prefix` and come after `start_after`, in byte order. Memory grows with their number.
pub(super) fn walk(root: &Path, prefix: &str, start_after: Option<&str>) -> Result<Vec<ObjectMeta>, StoreError> {
    if !root.is_dir() {
        return Err(StoreError::Denied {
            key: prefix.to_owned(),
            reason: format!(
                "the lake's folder does not exist; make it with `datalake init --lake {0}`, dir={0}",
                root.display()
            ),
            source: None,
        });
    }
    let mut found = Vec::new();
    // Only the folder that the prefix ends in can hold keys that begin with it.
    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    let is_within = folder.split('/').all(|part| part != ".." && part != ".");
    if is_within {
        let mut walk = Walk {
            prefix,
            start_after,
            found: &mut found,
        };
        let key = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        walk.folder(&root.join(folder), &key, 0)
            .map_err(|error| store_error(prefix, error))?;
    }
    found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(found)
}

struct Walk<'a> {
    prefix: &'a str,
    start_after: Option<&'a str>,
    found: &'a mut Vec<ObjectMeta>,
}

impl Walk<'_> {
    /// `key` is what the keys in the folder begin with: empty, or ending with `/`.
    fn folder(&mut self, path: &Path, key: &str, depth: usize) -> io::Result<()> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            // What vanishes while it is walked was never there.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut subfolders: Vec<(PathBuf, String)> = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if key.is_empty() && name == PRIVATE {
                continue;
            }
            let entry_key = format!("{key}{}", name.to_string_lossy());
            let metadata = match fs::metadata(entry.path()) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_dir() {
                subfolders.push((entry.path(), format!("{entry_key}/")));
            } else if entry_key.starts_with(self.prefix) && self.start_after.is_none_or(|after| *entry_key > *after) {
                self.found.extend(object_meta(entry_key, &metadata));
            }
        }
        for (path, key) in subfolders {
            let may_hold = key.starts_with(self.prefix) || self.prefix.starts_with(&key);
            if may_hold && depth < DEPTH_MAX {
                self.folder(&path, &key, depth + 1)?;
            }
        }
        Ok(())
    }
}
