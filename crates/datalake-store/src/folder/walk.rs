//! Lists a folder store: walks the part of the tree under a prefix, and sorts by whole keys.

use std::{
    fs::{self, DirEntry, Metadata as FileMetadata},
    io,
    path::{Path, PathBuf},
};

use datalake_core::{
    dataset::Dataset,
    keys::{self, PRIVATE},
};

use super::{
    beneath,
    errors::store_error,
    etags::{object_meta, other_meta},
    files::Files,
};
use crate::{bucket::ObjectMeta, error::StoreError, key_encoding::key_text};

/// "Too many levels of symbolic links", which `io::ErrorKind` does not name in stable Rust.
const LINK_LOOP: i32 = if cfg!(target_os = "linux") { 40 } else { 62 };

/// The objects whose keys begin with `prefix` and are greater than `start_after`, in byte order. Memory grows with their number.
///
/// Below `src-data/`, entries that are not files are listed as [`crate::bucket::ObjectKind::NotAFile`], and a folder that cannot be read is
/// listed as an object whose key ends with `/`, like the marker of a folder in a bucket. Elsewhere, entries that are not files are omitted,
/// and a folder that cannot be read is an error.
pub(super) fn walk(files: &Files, prefix: &str, start_after: Option<&str>) -> Result<Vec<ObjectMeta>, StoreError> {
    let root = files.root();
    files.require_root(prefix)?;
    let mut walk = Walk {
        root,
        prefix,
        start_after,
        ancestors: Vec::new(),
        found: Vec::new(),
    };
    let walked = match prefix.rsplit_once('/') {
        None => walk.folder(root, ""),
        // No object can have a key in the private folder or outside the root.
        Some((folder, _)) if files.path_of(folder).is_err() => Ok(()),
        Some((folder, _)) => {
            require_folder(root, folder)?;
            walk.folder_within(folder)
        }
    };
    walked.map_err(|error| store_error(prefix, error))?;
    walk.found.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(walk.found)
}

/// Fails if the folder is a file, because an empty listing would look like an empty lake.
fn require_folder(root: &Path, folder: &str) -> Result<(), StoreError> {
    let path = root.join(folder);
    match fs::metadata(&path) {
        Ok(found) if !found.is_dir() => Err(StoreError::Invalid {
            key: format!("{folder}/"),
            reason: format!("{} is a file, not a folder; rename or remove it", path.display()),
        }),
        _ => Ok(()),
    }
}

struct Walk<'a> {
    root: &'a Path,
    prefix: &'a str,
    start_after: Option<&'a str>,
    /// The folders from the root to the current one. A link back to one of them would be a loop.
    ancestors: Vec<FolderId>,
    found: Vec<ObjectMeta>,
}

impl Walk<'_> {
    /// Walks one folder of the root with the same result as a walk of the root.
    fn folder_within(&mut self, folder: &str) -> io::Result<()> {
        let mut path = self.root.to_owned();
        for part in folder.split('/') {
            match folder_id(&path)? {
                Some(id) if !self.ancestors.contains(&id) => self.ancestors.push(id),
                _ => return Ok(()),
            }
            path.push(part);
        }
        self.folder(&path, &format!("{folder}/"))
    }

    /// Walks a folder and its subfolders. `key` is the prefix of their keys: empty, or ending with `/`. Uses no recursion, because folders
    /// can be nested more deeply than the stack allows.
    fn folder(&mut self, path: &Path, key: &str) -> io::Result<()> {
        let mut steps = vec![Step::Enter(Box::new(Folder {
            path: path.to_owned(),
            key: key.to_owned(),
            below: None,
        }))];
        while let Some(step) = steps.pop() {
            let folder = match step {
                Step::Enter(folder) => folder,
                Step::Leave => {
                    self.ancestors.pop();
                    continue;
                }
            };
            match self.enter(&folder, &mut steps) {
                // An error of one folder below the sources must not stop the listing.
                Err(error) if keys::may_be_source(&folder.key) => match folder.below {
                    Some(metadata) if self.is_listed(&folder.key) => self.found.push(other_meta(folder.key, &metadata)),
                    Some(_) => {}
                    None => return Err(error),
                },
                entered => entered?,
            }
        }
        Ok(())
    }

    fn enter(&mut self, folder: &Folder, steps: &mut Vec<Step>) -> io::Result<()> {
        match folder_id(&folder.path)? {
            Some(id) if !self.ancestors.contains(&id) => self.ancestors.push(id),
            _ => return Ok(()),
        }
        steps.push(Step::Leave);
        let Some(entries) = unless_gone(fs::read_dir(&folder.path))? else {
            return Ok(());
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if folder.key.is_empty() && name == PRIVATE {
                continue;
            }
            let key = format!("{}{}", folder.key, key_text(name.as_encoded_bytes()));
            let folder_key = format!("{key}/");
            let may_be_object = self.is_listed(&key);
            let may_contain_objects = folder_key.starts_with(self.prefix) || self.prefix.starts_with(&folder_key);
            if !may_be_object && !may_contain_objects {
                continue;
            }
            match self.classify(&entry)? {
                Entry::Folder(metadata) => {
                    // The folder has the name of a user's source. The files in it are listed as nested.
                    if may_be_object && keys::parse_source(Dataset::users(), &key).is_ok() {
                        self.found.push(other_meta(key, &metadata));
                    }
                    steps.push(Step::Enter(Box::new(Folder {
                        path: entry.path(),
                        key: folder_key,
                        below: Some(metadata),
                    })));
                }
                Entry::File(metadata) if may_be_object => self.found.extend(object_meta(key, &metadata)),
                Entry::Other(metadata) if may_be_object && keys::may_be_source(&key) => self.found.push(other_meta(key, &metadata)),
                Entry::File(_) | Entry::Other(_) | Entry::Gone => {}
            }
        }
        Ok(())
    }

    fn is_listed(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && self.start_after.is_none_or(|after| *key > *after)
    }

    /// What an entry is, or what it links to within the root. Only the path of a link is resolved.
    fn classify(&self, entry: &DirEntry) -> io::Result<Entry> {
        let Some(own) = unless_gone(entry.metadata())? else {
            return Ok(Entry::Gone);
        };
        if own.is_dir() {
            return Ok(Entry::Folder(own));
        }
        if own.is_file() {
            return Ok(Entry::File(own));
        }
        if !own.is_symlink() {
            return Ok(Entry::Other(own));
        }
        let path = entry.path();
        let target = path
            .strip_prefix(self.root)
            .map_err(io::Error::other)
            .and_then(|within| beneath::describe(self.root, within));
        Ok(match target {
            Ok(target) if target.is_file() => Entry::File(target),
            // A link to one of the current folders would be a loop.
            Ok(target) if target.is_dir() && !folder_id(&path)?.is_none_or(|id| self.ancestors.contains(&id)) => Entry::Folder(target),
            _ => Entry::Other(own),
        })
    }
}

enum Step {
    Enter(Box<Folder>),
    Leave,
}

struct Folder {
    path: PathBuf,
    key: String,
    /// The description of the folder. None for the folder that is listed.
    below: Option<FileMetadata>,
}

enum Entry {
    File(FileMetadata),
    Folder(FileMetadata),
    /// Neither a file nor a folder, or a link to neither.
    Other(FileMetadata),
    Gone,
}

/// The device and the inode. The real path would take a call for each of its parts, of which an unusual folder can have thousands.
type FolderId = (u64, u64);

fn folder_id(path: &Path) -> io::Result<Option<FolderId>> {
    use std::os::unix::fs::MetadataExt;
    let folder = unless_gone(fs::metadata(path))?;
    Ok(folder.map(|folder| (folder.dev(), folder.ino())))
}

/// None for an entry that was removed during the walk, and for a dangling link: neither is an object, and neither stops the listing.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) if error.raw_os_error() == Some(LINK_LOOP) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Runs `work` without the superuser's permission to read all files.
    fn unprivileged<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        let unprivileged_work = || {
            // Only for this thread.
            nix::unistd::setfsuid(65_534.into());
            work()
        };
        std::thread::scope(|scope| scope.spawn(unprivileged_work).join().expect("it does not panic"))
    }

    fn with_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the test owns the path");
    }

    #[test]
    fn unreadable_folder_below_the_sources_is_listed() {
        let root = tempfile::tempdir().unwrap();
        with_mode(root.path(), 0o755);
        let closed = root.path().join(keys::source("lost+found"));
        fs::create_dir_all(&closed).unwrap();
        fs::write(root.path().join(keys::source("1.csv")), "x").unwrap();
        fs::write(closed.join("2.csv"), "x").unwrap();
        with_mode(&closed, 0);
        let files = Files::new(root.path().to_owned());
        let list = |prefix: &str| unprivileged(|| walk(&files, prefix, None));
        let keys: Vec<_> = list(keys::SOURCES).unwrap().into_iter().map(|meta| meta.key).collect();
        assert_eq!(keys, [keys::source("1.csv"), keys::source("lost+found/")]);

        // Elsewhere, an incomplete listing would be wrong.
        for sources in ["src-data", "processed_data"] {
            let closed = root.path().join(sources);
            fs::create_dir_all(&closed).unwrap();
            with_mode(&closed, 0);
            let listed = list(&format!("{sources}/"));
            assert!(matches!(listed, Err(StoreError::Denied { .. })), "{sources}: {listed:?}");
            with_mode(&closed, 0o755);
        }
        with_mode(&closed, 0o755);
    }
}
