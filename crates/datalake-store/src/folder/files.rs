//! Files of a folder store: paths of keys, tags, and the atomic ways to write.

use std::{
    fs::{self, File, Metadata as FileMetadata, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Component, Path, PathBuf},
    sync::Once,
    thread,
    time::Duration,
};

use bytes::Bytes;
use datalake_core::keys;
use tokio::time::Instant;

use super::{
    beneath, etags,
    staging::{self, Fence, PRIVATE, Staging},
    store_error, sync_folder,
};
use crate::{
    bucket::{Etag, Metadata, ObjectMeta, require_readable},
    error::StoreError,
    unique::unique,
};

/// How often a file that its owner is writing is read anew before the store counts as unavailable.
const READ_ATTEMPTS_MAX: u32 = 8;

/// A process holds the lock for some milliseconds. One that was suspended while it did must not suspend all others.
const LOCK_WAIT_MAX: Duration = Duration::from_mins(1);

/// A longer wait is worth a line in the log.
const LOCK_WAIT_USUAL: Duration = Duration::from_secs(2);

/// The longest time between two attempts, about as long as the lock is held once.
const LOCK_POLL_MAX_MS: u64 = 5;

/// The time between two looks at a source that its owner may still be writing: programs that copy a file write at least every few milliseconds.
const WRITER_PAUSE: Duration = Duration::from_millis(200);

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
        let _lock = self.lock(key)?;
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
        let _lock = self.lock(key)?;
        let present = match describe(path, key) {
            Ok(meta) => meta,
            Err(StoreError::NotFound { .. }) if if_match.is_none() => return Ok(()),
            Err(error) => return Err(error),
        };
        super::require(&present, if_match)?;
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

    /// A lock that is held until it is dropped; the system releases it when the process ends.
    fn lock(&self, key: &str) -> Result<File, StoreError> {
        let folder = self.root.join(PRIVATE);
        let open = || {
            fs::create_dir_all(&folder)?;
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join("lock"))
        };
        let file = open().map_err(|error| store_error(key, error))?;
        let start = Instant::now();
        let mut is_logged = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(store_error(key, error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if start.elapsed() > LOCK_WAIT_MAX {
                let path = folder.join("lock");
                return Err(StoreError::Unavailable {
                    key: key.to_owned(),
                    reason: format!(
                        "cannot write {key}: another process holds the lock {}; end it if it is suspended",
                        path.display()
                    ),
                    attempts: 1,
                    source: None,
                });
            }
            if !is_logged && start.elapsed() > LOCK_WAIT_USUAL {
                is_logged = true;
                tracing::warn!(key, "waiting for the lock of the lake's folder; another process holds it");
            }
            thread::sleep(Duration::from_millis(fastrand::u64(1..=LOCK_POLL_MAX_MS)));
        }
    }
}

/// What it means that no file can be linked.
fn no_hard_links(key: &str, root: &Path, refused: &io::Error) -> StoreError {
    let reason = format!(
        "the file system of {} has no hard links (FAT, exFAT and some network shares have none), so that concurrent runs could overwrite \
         each other's commit; store the lake on another file system, or pass --single-writer and make sure that only one run is active",
        root.display()
    );
    StoreError::not_supported(key, reason, refused.to_string())
}

/// What it means that a file cannot be given its name.
fn naming_error(key: &str, path: &Path, error: io::Error) -> StoreError {
    let is_taken_by_file = error.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(path).is_ok_and(|taken| !taken.is_dir());
    let is_in_the_way = matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::DirectoryNotEmpty
    );
    if is_in_the_way && !is_taken_by_file {
        let reason = "in a folder, a key cannot be both an object and the beginning of other keys; remove or rename one of them".to_owned();
        return StoreError::Invalid {
            key: key.to_owned(),
            reason,
        };
    }
    store_error(key, error)
}

/// The description of the file that an object's key names.
pub(super) fn describe_within(root: &Path, key: &str) -> Result<ObjectMeta, StoreError> {
    let missing = || StoreError::NotFound { key: key.to_owned() };
    match beneath::describe(root, Path::new(key)) {
        Ok(metadata) => etags::object_meta(key.to_owned(), &metadata).ok_or_else(missing),
        Err(error) => Err(store_error(key, error)),
    }
}

/// The description of an object's file.
pub(super) fn describe(path: &Path, key: &str) -> Result<ObjectMeta, StoreError> {
    let metadata = fs::metadata(path).map_err(|error| store_error(key, error))?;
    etags::object_meta(key.to_owned(), &metadata).ok_or_else(|| StoreError::NotFound { key: key.to_owned() })
}

/// Reads a file of which no part may change meanwhile: sources are edited in place by their owners. `choose` sees the file's description
/// first, and names the range to read. A source that changes while it is read is [`StoreError::Conflict`].
pub(super) fn read_stable(
    root: &Path,
    key: &str,
    choose: impl Fn(&ObjectMeta) -> Result<Option<Range<u64>>, StoreError>,
) -> Result<(ObjectMeta, Bytes), StoreError> {
    let missing = || StoreError::NotFound { key: key.to_owned() };
    let failed = |error| store_error(key, error);
    for _ in 0..READ_ATTEMPTS_MAX {
        let mut file = beneath::open(root, key).map_err(failed)?;
        let meta = etags::object_meta(key.to_owned(), &file.metadata().map_err(failed)?).ok_or_else(missing)?;
        let range = choose(&meta)?.unwrap_or(0..meta.size);
        let length = range.end - range.start;
        require_readable(key, length)?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        if range.start > 0 {
            file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
        }
        Read::by_ref(&mut file).take(length).read_to_end(&mut bytes).map_err(failed)?;
        let is_whole = u64::try_from(bytes.len()) == Ok(length);
        let described = file.metadata().map_err(failed)?;
        if !is_whole || etags::etag_of(key, &described) != meta.etag {
            continue;
        }
        if key.starts_with(keys::SOURCES) && etags::may_be_written(&described) {
            thread::sleep(WRITER_PAUSE);
            if etags::etag_of(key, &file.metadata().map_err(failed)?) != meta.etag {
                break;
            }
        }
        return Ok((meta, bytes.into()));
    }
    if key.starts_with(keys::SOURCES) {
        return Err(StoreError::Conflict { key: key.to_owned() });
    }
    Err(StoreError::Unavailable {
        key: key.to_owned(),
        reason: format!("cannot read {key}: the file changes while it is read"),
        attempts: READ_ATTEMPTS_MAX,
        source: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those who make no hard links answer with one of these; the cause is named, and that there is another way.
    #[test]
    fn a_file_system_without_hard_links_is_named() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported] {
            let error = no_hard_links("a", Path::new("/media/stick"), &kind.into());
            assert!(error.is_not_supported());
            let words = error.to_string();
            for word in ["hard links", "--single-writer", "/media/stick"] {
                assert!(words.contains(word), "{word}: {words}");
            }
        }
    }

    #[test]
    fn a_file_is_linked_beside_itself_where_links_can_be_made() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::new(root.path().to_owned());
        let written = files.write_temporary("a", b"x", &Metadata::new()).unwrap();
        Files::try_hard_link(&written).unwrap();
        assert_eq!(fs::read_dir(root.path().join(PRIVATE).join("tmp")).unwrap().count(), 1);
    }
}
