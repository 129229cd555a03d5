//! Where a folder store writes files before they get their names, and what makes the writes of a paused process fail.
//!
//! A fence is a staging folder of its own, `.datalake/fences/{uuid}/`, with a marker file whose modification time is the time of the file
//! system. A write through the fence takes effect by a path in that folder: a create is a hard link from it, a replacement is a rename out
//! of it, a delete is a rename into it. Once the folder was swept, each of these fails, however long the process was paused before the call.
//!
//! A sweep judges a fence by its marker, against a file that was just written, so that no other clock is involved. It must never remove a
//! folder in place: it first renames the folder, in one step, so that no path into the folder is valid from then on.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata as FileMetadata, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;

use crate::{bucket::STAGED_AGE_MAX, error::StoreError, unique::unique};

/// The folder beside the objects that is never listed.
pub(super) const PRIVATE: &str = ".datalake";

/// The file in a fence whose modification time is when the fence was made.
const MARKER: &str = "made";

/// The extension of a fence that was swept and is being removed.
const SWEPT: &str = "swept";

/// Where the files of writes are staged.
#[derive(Debug)]
pub(super) enum Staging {
    /// The folder that all writes without a fence share.
    Shared(PathBuf),
    /// A folder that a sweep can take away.
    Fenced(Fence),
}

impl Staging {
    pub(super) fn shared(root: &Path) -> Self {
        Self::Shared(shared_folder(root))
    }

    /// The folder to create files in. A fence's is never made again.
    pub(super) fn folder(&self) -> io::Result<&Path> {
        match self {
            Self::Shared(folder) => fs::create_dir_all(folder).map(|()| folder.as_path()),
            Self::Fenced(fence) => Ok(&fence.folder),
        }
    }

    /// Fails if this is a fence that was swept.
    pub(super) fn require(&self, key: &str) -> Result<(), StoreError> {
        match self {
            Self::Fenced(fence) if fence.is_swept() => Err(StoreError::Expired { key: key.to_owned() }),
            Self::Shared(_) | Self::Fenced(_) => Ok(()),
        }
    }

    /// What a failure without an effect means: if the fence was swept, that is the reason.
    pub(super) fn unless_expired(&self, key: &str, error: StoreError) -> StoreError {
        self.require(key).err().unwrap_or(error)
    }

    /// Removes the file of an object.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let Self::Fenced(fence) = self else { return fs::remove_file(path) };
        let removed = fence.folder.join(unique().simple().to_string());
        fs::rename(path, &removed)?;
        // The object is gone; the rest is removed with the fence at the latest.
        let _removed_later = fs::remove_file(removed);
        Ok(())
    }
}

/// A staging folder that a sweep can take away. The folder is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Fence {
    folder: PathBuf,
}

impl Fence {
    /// Makes a fence, removes those that are too old, and returns the time of the file system.
    pub(super) fn new(root: &Path) -> io::Result<(Self, Timestamp)> {
        let fences = root.join(PRIVATE).join("fences");
        fs::create_dir_all(&fences)?;
        let folder = fences.join(unique().simple().to_string());
        fs::create_dir(&folder)?;
        let fence = Self { folder };
        let marker = create(&fence.folder.join(MARKER))?;
        // What another process left behind, perhaps as another user, must not stop this one. The vacuum reports it.
        if let Err(error) = sweep_fences(&fences, &marker) {
            tracing::debug!(%error, "cannot remove expired staging folders");
        }
        let made = marker.modified()?;
        Ok((fence, Timestamp::try_from(made).map_err(io::Error::other)?))
    }

    fn is_swept(&self) -> bool {
        is_missing(&fs::symlink_metadata(self.folder.join(MARKER)))
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        // A sweep removes what remains.
        let _removed_later = fs::remove_dir_all(&self.folder);
    }
}

/// Removes fences and staged files older than [`STAGED_AGE_MAX`], and returns how many.
pub(super) fn sweep(root: &Path) -> io::Result<u64> {
    let shared = shared_folder(root);
    fs::create_dir_all(&shared)?;
    let path = shared.join(unique().simple().to_string());
    let newest = create(&path)?;
    fs::remove_file(&path)?;
    let fences = sweep_fences(&root.join(PRIVATE).join("fences"), &newest)?;
    Ok(fences + remove_old_files(&shared, &newest)?)
}

/// Removes the files in a folder that are too old, and returns how many. `newest` was written just now.
pub(super) fn remove_old_files(folder: &Path, newest: &FileMetadata) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let described = fs::symlink_metadata(&path);
        // Its owner gave it a name, or another process removes it at this moment.
        if is_missing(&described) {
            continue;
        }
        let described = described?;
        if described.is_dir() || !is_old(&described, newest)? {
            continue;
        }
        unless_missing(fs::remove_file(&path))?;
        removed += 1;
    }
    Ok(removed)
}

fn sweep_fences(fences: &Path, newest: &FileMetadata) -> io::Result<u64> {
    let entries = match fs::read_dir(fences) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut swept = 0;
    for entry in entries {
        let folder = entry?.path();
        if folder.extension() == Some(OsStr::new(SWEPT)) {
            // Its sweep was interrupted, or another process removes it at this moment.
            unless_missing(fs::remove_dir_all(&folder))?;
        } else if has_expired(&folder, newest)? {
            let away = folder.with_extension(SWEPT);
            match fs::rename(&folder, &away) {
                // Its owner or another sweep removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                renamed => renamed?,
            }
            swept += 1;
            unless_missing(fs::remove_dir_all(&away))?;
        }
    }
    Ok(swept)
}

/// Whether a fence is too old. A marker dated in the future, after the file system's clock was set back, is not old, but must not keep its
/// fence forever: it is dated now, so that the fence expires a full period after the first sweep that sees it.
fn has_expired(folder: &Path, newest: &FileMetadata) -> io::Result<bool> {
    let marker = folder.join(MARKER);
    // Without a marker, a fence is being made or removed, or its owner died doing so.
    let dated = [marker.as_path(), folder]
        .into_iter()
        .find_map(|path| match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            described => Some(described.map(|described| (path, described))),
        });
    let Some((path, described)) = dated.transpose()? else {
        return Ok(false);
    };
    let now = newest.modified()?;
    if described.modified()? > now {
        unless_missing(File::open(path).and_then(|file| file.set_modified(now)))?;
    }
    is_old(&described, newest)
}

/// Whether a file is older than staged files get. One dated in the future is not.
fn is_old(described: &FileMetadata, newest: &FileMetadata) -> io::Result<bool> {
    let age_max: Duration = STAGED_AGE_MAX.unsigned_abs();
    let age = |now: SystemTime, then| now.duration_since(then).unwrap_or_default();
    Ok(age(newest.modified()?, described.modified()?) > age_max)
}

fn create(path: &Path) -> io::Result<FileMetadata> {
    OpenOptions::new().write(true).create_new(true).open(path)?.metadata()
}

fn shared_folder(root: &Path) -> PathBuf {
    root.join(PRIVATE).join("tmp")
}

fn is_missing<T>(result: &io::Result<T>) -> bool {
    matches!(result, Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Success if what was to be changed is gone.
fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
