//! Files of a folder store: the paths of keys, and atomic writes.

use std::{
    fs::{self, File, Metadata as FileMetadata, OpenOptions},
    io::{self, Write},
    path::{Component, Path, PathBuf},
    sync::Once,
};

use datalake_core::keys::PRIVATE;

use super::{
    errors::{naming_error, no_hard_links, store_error},
    etags,
    lock::lock,
    stable_read::describe,
    staging::{self, Fence, Staging},
};
use crate::{
    bucket::{Etag, Metadata, ObjectMeta},
    error::StoreError,
    unique_name::unique_name,
};

/// The root folder of a store and its staging folder.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    staging: Staging,
    /// The first write removes the staged files of dead writers.
    leftovers: Once,
}

/// A staged file that is complete and durable, and that no reader sees yet.
pub(super) struct Written {
    path: PathBuf,
    file: File,
    described: FileMetadata,
}

impl Drop for Written {
    fn drop(&mut self) {
        // After a rename the file is gone. Otherwise its write lost a race, and the file is not needed. A later process removes what a
        // crash leaves.
        let _already_gone = fs::remove_file(&self.path);
    }
}

impl Written {
    /// The ETag of the object, after the file got its name and its staged name was removed.
    fn etag(&self, key: &str) -> io::Result<Etag> {
        Ok(etags::etag_of_written(key, &self.described, &self.file.metadata()?))
    }

    /// The error for a file that could not get its name: if it was swept, that is the reason.
    fn unless_swept(&self, key: &str, error: StoreError) -> StoreError {
        match fs::symlink_metadata(&self.path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => StoreError::Expired { key: key.to_owned() },
            _ => error,
        }
    }
}

impl Files {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            staging: Staging::shared(&root),
            root,
            leftovers: Once::new(),
        }
    }

    /// The files of the same store, written through a fence.
    pub(super) fn fenced(&self, fence: Fence) -> Self {
        Self {
            root: self.root.clone(),
            staging: Staging::Fenced(fence),
            leftovers: Once::new(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Fails if the root does not exist. A lake is never created by a write, because its path may be mistyped.
    pub(super) fn require_root(&self, key: &str) -> Result<(), StoreError> {
        if self.root.is_dir() {
            return Ok(());
        }
        let root = self.root.display();
        let reason = match self.root.exists() {
            true => format!("the lake {root} is a file, not a folder; pass a folder"),
            false => format!("the lake's folder {root} does not exist; create it with `datalake init --lake {root}`"),
        };
        Err(StoreError::Denied {
            key: key.to_owned(),
            reason,
            cause: None,
        })
    }

    /// Adds the folder to an error of the file system, so that the operator can find the disk.
    pub(super) fn located(&self, error: StoreError) -> StoreError {
        let folder = self.root.display();
        match error {
            StoreError::Denied {
                key,
                reason,
                cause: Some(cause),
            } if cause.is::<io::Error>() => StoreError::Denied {
                key,
                reason: format!("{reason} (lake {folder})"),
                cause: Some(cause),
            },
            StoreError::Unavailable {
                key,
                reason,
                attempts,
                cause: Some(cause),
            } if cause.is::<io::Error>() => StoreError::Unavailable {
                key,
                reason: format!("{reason} (lake {folder})"),
                attempts,
                cause: Some(cause),
            },
            error => error,
        }
    }

    /// The path of a key. A key that could leave the root or that is in the private folder is `Invalid`.
    pub(super) fn path_of(&self, key: &str) -> Result<PathBuf, StoreError> {
        let is_plain = !key.is_empty()
            && !key.contains('\0')
            && key.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
        let is_private = key.split('/').next() == Some(PRIVATE);
        if !is_plain || is_private {
            return Err(StoreError::Invalid {
                key: key.to_owned(),
                reason: "a folder cannot hold an object of this key".to_owned(),
            });
        }
        Ok(self.root.join(key))
    }

    /// Writes the bytes to a staged file and the metadata to a side file, and makes both durable.
    pub(super) fn write_temporary(&self, key: &str, bytes: &[u8], metadata: &Metadata) -> Result<Written, StoreError> {
        self.require_root(key)?;
        let failed = |error| match store_error(key, error) {
            // A missing folder here belongs to the lake, not to the object.
            StoreError::NotFound { key } => StoreError::Unavailable {
                reason: format!("cannot write {key}: the folder {} was removed", self.root.display()),
                key,
                attempts: 1,
                cause: None,
            },
            error => error,
        };
        let failed = |error| self.staging.unless_expired(key, failed(error));
        let folder = self.staging.folder().map_err(failed)?;
        let id = unique_name();
        let path = folder.join(id.simple().to_string());
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        let described = file.metadata().map_err(failed)?;
        let mut written = Written { path, file, described };
        written
            .file
            .write_all(bytes)
            .and_then(|()| etags::make_unique(&written.file, id))
            .and_then(|()| written.file.sync_all())
            .map_err(failed)?;
        written.described = written.file.metadata().map_err(failed)?;
        if let Staging::Shared(folder) = &self.staging {
            self.leftovers.call_once(|| {
                // A remaining file only takes space, so a failure here does not fail the write.
                let _removed_later = staging::remove_old_files(folder, &written.described);
            });
        }
        if !metadata.is_empty() {
            let side = self.side_file(&etags::etag_of(key, &written.described));
            let text = serde_json::to_vec(metadata).expect("a map of strings is JSON");
            let folder = side.parent().expect("a side file has a parent folder");
            fs::create_dir_all(folder).and_then(|()| fs::write(&side, text)).map_err(failed)?;
            File::open(&side)
                .and_then(|file| file.sync_all())
                .and_then(|()| sync_folder(folder))
                .map_err(failed)?;
        }
        Ok(written)
    }

    /// Gives the file its name by a hard link, which fails if the name exists: exactly one of several concurrent creates succeeds.
    pub(super) fn publish_new(&self, written: &Written, path: &Path, key: &str) -> Result<Etag, StoreError> {
        let linked = self
            .make_parent(path)
            .and_then(|folder| fs::hard_link(&written.path, path).map(|()| folder));
        let folder = linked.map_err(|error| {
            self.remove_metadata(&etags::etag_of(key, &written.described));
            // A file system without hard links may report a permission error. A link in the staging folder shows which of the two it is.
            let may_lack_links = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported);
            match may_lack_links.then(|| Self::try_hard_link(written)) {
                Some(Err(failure)) if failure.kind() != io::ErrorKind::NotFound => no_hard_links(key, self.root(), &failure),
                Some(_) | None => written.unless_swept(key, naming_error(key, path, error)),
            }
        })?;
        // The object has its name now, and keeps its metadata even if the name may not be durable.
        let failed = |error| store_error(key, error);
        sync_folder(folder).map_err(failed)?;
        // Removing the link changes the file's change time, which is part of the ETag of a source.
        let _removed_later = fs::remove_file(&written.path);
        written.etag(key).map_err(failed)
    }

    /// Links the file in its own folder, which is writable, so a failure shows that the file system has no hard links.
    fn try_hard_link(written: &Written) -> io::Result<()> {
        let beside = written.path.with_extension("link");
        fs::hard_link(&written.path, &beside)?;
        fs::remove_file(beside)
    }

    /// Gives the file its name, and replaces the current file, if `check` of the current object succeeds. All processes use the same lock.
    pub(super) fn replace(
        &self,
        written: &Written,
        path: &Path,
        key: &str,
        check: impl FnOnce(Option<&ObjectMeta>) -> Result<(), StoreError>,
    ) -> Result<Etag, StoreError> {
        let _lock = lock(&self.root, key)?;
        let present = match describe(path, key) {
            Ok(meta) => Some(meta),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Err(error) = check(present.as_ref()) {
            self.remove_metadata(&etags::etag_of(key, &written.described));
            return Err(error);
        }
        let renamed = self
            .make_parent(path)
            .and_then(|folder| fs::rename(&written.path, path).map(|()| folder));
        let folder = renamed.map_err(|error| {
            self.remove_metadata(&etags::etag_of(key, &written.described));
            written.unless_swept(key, naming_error(key, path, error))
        })?;
        sync_folder(folder).map_err(|error| store_error(key, error))?;
        if let Some(replaced) = present {
            self.remove_metadata(&replaced.etag);
        }
        written.etag(key).map_err(|error| store_error(key, error))
    }

    /// Removes the file if its ETag matches.
    pub(super) fn remove(&self, path: &Path, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        self.staging.require(key)?;
        let _lock = lock(&self.root, key)?;
        let present = match describe(path, key) {
            Ok(meta) => meta,
            Err(StoreError::NotFound { .. }) if if_match.is_none() => return Ok(()),
            Err(error) => return Err(error),
        };
        etags::require(&present, if_match)?;
        self.staging
            .remove(path)
            .map_err(|error| self.staging.unless_expired(key, store_error(key, error)))?;
        // Without this, a removed object may reappear after a crash of the machine.
        sync_folder(path.parent().unwrap_or(&self.root)).map_err(|error| store_error(key, error))?;
        self.remove_metadata(&present.etag);
        Ok(())
    }

    /// The user metadata of the object with this ETag.
    pub(super) fn metadata_of(&self, etag: &Etag) -> Metadata {
        fs::read(self.side_file(etag))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    fn remove_metadata(&self, etag: &Etag) {
        // Metadata is only read by the ETag of an existing object, so a remaining file does no harm.
        let _may_lack_links = fs::remove_file(self.side_file(etag));
    }

    fn side_file(&self, etag: &Etag) -> PathBuf {
        self.root
            .join(PRIVATE)
            .join("metadata")
            .join(format!("{}.json", etags::content_part(etag)))
    }

    /// Creates the folder of the file, and makes the names of new folders durable.
    fn make_parent<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let new: Vec<_> = folder
            .ancestors()
            .take_while(|folder| *folder != self.root && !folder.exists())
            .collect();
        fs::create_dir_all(folder)?;
        for made in new {
            sync_folder(made.parent().unwrap_or(&self.root))?;
        }
        Ok(folder)
    }
}

/// Makes the names of files in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
