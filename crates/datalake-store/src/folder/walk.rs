//! Lists a folder store: walks the part of the tree that a prefix names, and sorts by whole keys.

use std::{
    fs::{self, DirEntry, Metadata as FileMetadata},
    io,
    path::{Path, PathBuf},
};

use super::{etags::object_meta, files::Files, staging::PRIVATE, store_error};
use crate::{bucket::ObjectMeta, error::StoreError, spelling::spelled};

/// "Too many levels of symbolic links", which `io::ErrorKind` does not name in stable Rust.
const LINK_LOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };

/// The objects whose keys begin with `prefix` and come after `start_after`, in byte order. Memory grows with their number.
pub(super) fn walk(files: &Files, prefix: &str, start_after: Option<&str>) -> Result<Vec<ObjectMeta>, StoreError> {
    let root = files.root();
    files.require_root(prefix)?;
    let mut walk = Walk {
        prefix,
        start_after,
        way: Vec::new(),
        found: Vec::new(),
    };
    let walked = match prefix.rsplit_once('/') {
        None => walk.folder(root, ""),
        // No object can have a key in a folder that is the store's own or outside the root.
        Some((folder, _)) if files.path_of(folder).is_err() => Ok(()),
        Some((folder, _)) => walk.folder_within(root, folder),
    };
    walked.map_err(|error| store_error(prefix, error))?;
    walk.found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(walk.found)
}

struct Walk<'a> {
    prefix: &'a str,
    start_after: Option<&'a str>,
    /// The folders from the root to the one that is read. A link back to one of them adds nothing, and would not end.
    way: Vec<FolderId>,
    found: Vec<ObjectMeta>,
}

impl Walk<'_> {
    /// Walks one folder of the root, as a walk of the root would have come to it.
    fn folder_within(&mut self, root: &Path, folder: &str) -> io::Result<()> {
        let mut path = root.to_owned();
        for part in folder.split('/') {
            match folder_id(&path)? {
                Some(id) if !self.way.contains(&id) => self.way.push(id),
                _ => return Ok(()),
            }
            path.push(part);
        }
        self.folder(&path, &format!("{folder}/"))
    }

    /// `key` is what the keys in the folder begin with: empty, or ending with `/`.
    fn folder(&mut self, path: &Path, key: &str) -> io::Result<()> {
        match folder_id(path)? {
            Some(id) if !self.way.contains(&id) => self.way.push(id),
            _ => return Ok(()),
        }
        let result = self.entries(path, key);
        self.way.pop();
        result
    }

    fn entries(&mut self, path: &Path, key: &str) -> io::Result<()> {
        let Some(entries) = unless_gone(fs::read_dir(path))? else {
            return Ok(());
        };
        let mut subfolders: Vec<(PathBuf, String)> = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if key.is_empty() && name == PRIVATE {
                continue;
            }
            let entry_key = format!("{key}{}", spelled(name.as_encoded_bytes()));
            let folder_key = format!("{entry_key}/");
            let may_be_object = entry_key.starts_with(self.prefix) && self.start_after.is_none_or(|after| *entry_key > *after);
            let may_hold_objects = folder_key.starts_with(self.prefix) || self.prefix.starts_with(&folder_key);
            if !may_be_object && !may_hold_objects {
                continue;
            }
            let Some(metadata) = unless_gone(followed(&entry))? else { continue };
            if metadata.is_dir() {
                subfolders.push((entry.path(), folder_key));
            } else if may_be_object {
                self.found.extend(object_meta(entry_key, &metadata));
            }
        }
        for (path, key) in subfolders {
            self.folder(&path, &key)?;
        }
        Ok(())
    }
}

/// The description of what an entry is or links to; only a link costs a walk of its path.
fn followed(entry: &DirEntry) -> io::Result<FileMetadata> {
    if entry.file_type()?.is_symlink() {
        fs::metadata(entry.path())
    } else {
        entry.metadata()
    }
}

/// The device and the inode: a real path would cost a call for each of its parts, of which a stray folder can have thousands.
#[cfg(unix)]
type FolderId = (u64, u64);

#[cfg(unix)]
fn folder_id(path: &Path) -> io::Result<Option<FolderId>> {
    use std::os::unix::fs::MetadataExt;
    let folder = unless_gone(fs::metadata(path))?;
    Ok(folder.map(|folder| (folder.dev(), folder.ino())))
}

#[cfg(not(unix))]
type FolderId = PathBuf;

#[cfg(not(unix))]
fn folder_id(path: &Path) -> io::Result<Option<FolderId>> {
    unless_gone(fs::canonicalize(path))
}

/// None of what vanished while it was walked, or of a link to nothing: it holds no objects, and stops no listing.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) if error.raw_os_error() == Some(LINK_LOOP) => Ok(None),
        Err(error) => Err(error),
    }
}
