//! Files of a folder store: paths of keys, tags, and the atomic ways to write.

use std::{
    fs::{self, File, Metadata as FileMetadata, OpenOptions},
    io::{self, Write},
    path::{Component, Path, PathBuf},
    sync::Once,
};

use super::{
    errors::{naming_error, no_hard_links, store_error},
    etags,
    lock::lock,
    stable_read::describe,
    staging::{self, Fence, PRIVATE, Staging},
};
use crate::{
    bucket::{Etag, Metadata, ObjectMeta},
    error::StoreError,
    unique::unique,
};

/// The root of a store and the places beside the objects.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    staging: Staging,
    /// Files of writers that died are removed with the first write.
    leftovers: Once,
}

/// A file that is written and durable, and has no name yet that a reader knows.
pub(super) struct Written {
    path: PathBuf,
    file: File,
    described: FileMetadata,
}

impl Drop for Written {
    fn drop(&mut self) {
        // After a rename there is nothing left; else this is the loser's copy. What a crash leaves here, a later process removes.
        let _already_gone = fs::remove_file(&self.path);
    }
}

impl Written {
    /// The ETag of the object, once the file has its name and no other.
    fn etag(&self, key: &str) -> io::Result<Etag> {
        Ok(etags::etag_of_written(key, &self.described, &self.file.metadata()?))
    }

    /// What it means that the file could not be given its name: once it was swept, nothing else matters.
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

    /// The same files, written through a fence.
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

    /// A lake is made on purpose: a mistyped path must not become one.
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
            source: None,
        })
    }

    /// Adds the folder to an error of the file system: the operator has to find the disk.
    pub(super) fn located(&self, error: StoreError) -> StoreError {
        let folder = self.root.display();
        match error {
            StoreError::Denied {
                key,
                reason,
                source: Some(source),
            } if source.is::<io::Error>() => StoreError::Denied {
                key,
                reason: format!("{reason} (lake {folder})"),
                source: Some(source),
            },
            StoreError::Unavailable {
                key,
                reason,
                attempts,
                source: Some(source),
            } if source.is::<io::Error>() => StoreError::Unavailable {
                key,
                reason: format!("{reason} (lake {folder})"),
                attempts,
                source: Some(source),
            },
            error => error,
        }
    }

    /// The file of a key. A key that could leave the root, or that is the store's own, is `Invalid`.
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

    /// Writes the bytes under a private name, with their metadata beside, and makes both durable.
    pub(super) fn write_temporary(&self, key: &str, bytes: &[u8], metadata: &Metadata) -> Result<Written, StoreError> {
        self.require_root(key)?;
        let failed = |error| match store_error(key, error) {
            // A missing folder here is the lake's, not the object's.
            StoreError::NotFound { key } => StoreError::Unavailable {
                reason: format!("cannot write {key}: the folder {} was removed", self.root.display()),
                key,
                attempts: 1,
                source: None,
            },
            error => error,
        };
        let failed = |error| self.staging.unless_expired(key, failed(error));
        let folder = self.staging.folder().map_err(failed)?;
        let id = unique();
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
                // A file that stays costs nothing but its bytes: no failure here stops a write.
                let _removed_later = staging::remove_old_files(folder, &written.described);
            });
        }
        if !metadata.is_empty() {
            let side = self.side_file(&etags::etag_of(key, &written.described));
            let text = serde_json::to_vec(metadata).expect("a map of strings is JSON");
            let folder = side.parent().expect("a side file lies in a folder");
            fs::create_dir_all(folder).and_then(|()| fs::write(&side, text)).map_err(failed)?;
            File::open(&side)
                .and_then(|file| file.sync_all())
                .and_then(|()| sync_folder(folder))
                .map_err(failed)?;
        }
        Ok(written)
    }

    /// Gives the file its name if nobody has it: of racing creates, one links first.
    pub(super) fn publish_new(&self, written: &Written, path: &Path, key: &str) -> Result<Etag, StoreError> {
        let linked = self
            .make_parent(path)
            .and_then(|folder| fs::hard_link(&written.path, path).map(|()| folder));
        let folder = linked.map_err(|error| {
            self.forget_metadata(&etags::etag_of(key, &written.described));
            // A file system without hard links says that this user may not make one: whether anybody may is tried where one can be made.
            let may_have_none = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported);
            match may_have_none.then(|| Self::try_hard_link(written)) {
                Some(Err(refused)) if refused.kind() != io::ErrorKind::NotFound => no_hard_links(key, self.root(), &refused),
                Some(_) | None => written.unless_swept(key, naming_error(key, path, error)),
            }
        })?;
        // The object has its name now, and keeps its metadata: that the name is not known to be durable is another failure.
        let failed = |error| store_error(key, error);
        sync_folder(folder).map_err(failed)?;
        // The removal of a link changes the file's change time, which is part of the ETag of a source.
        let _removed_later = fs::remove_file(&written.path);
        written.etag(key).map_err(failed)
    }

    /// Links the file beside itself: of a folder in which it could be written, this shows whether its file system can do it at all.
    fn try_hard_link(written: &Written) -> io::Result<()> {
        let beside = written.path.with_extension("link");
        fs::hard_link(&written.path, &beside)?;
        fs::remove_file(beside)
    }

    /// Gives the file its name, in place of what has it, if `check` of that agrees. Writers of all processes come one after the other.
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
            self.forget_metadata(&etags::etag_of(key, &written.described));
            return Err(error);
        }
        let renamed = self
            .make_parent(path)
            .and_then(|folder| fs::rename(&written.path, path).map(|()| folder));
        let folder = renamed.map_err(|error| {
            self.forget_metadata(&etags::etag_of(key, &written.described));
            written.unless_swept(key, naming_error(key, path, error))
        })?;
        sync_folder(folder).map_err(|error| store_error(key, error))?;
        if let Some(replaced) = present {
            self.forget_metadata(&replaced.etag);
        }
        written.etag(key).map_err(|error| store_error(key, error))
    }

    /// Removes the file, if its tag is the one asked for.
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
        // Without this, a removed object may be back after the machine has failed.
        sync_folder(path.parent().unwrap_or(&self.root)).map_err(|error| store_error(key, error))?;
        self.forget_metadata(&present.etag);
        Ok(())
    }

    /// The metadata that the object of this tag was put with.
    pub(super) fn metadata_of(&self, etag: &Etag) -> Metadata {
        fs::read(self.side_file(etag))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    fn forget_metadata(&self, etag: &Etag) {
        // Nobody asks for the metadata of a tag that no object has: one that stays harms nobody.
        let _may_have_none = fs::remove_file(self.side_file(etag));
    }

    fn side_file(&self, etag: &Etag) -> PathBuf {
        self.root
            .join(PRIVATE)
            .join("metadata")
            .join(format!("{}.json", etags::content_part(etag)))
    }

    /// Makes the folder that the file lies in, and each new folder's name durable.
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

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
