//! Staging of files before they get their names, and fences, which make the writes of a paused process fail.
//!
//! A fence is a separate staging folder, `.datalake/fences/{uuid}/`, with a marker file whose modification time is the time of the file
//! system. A write through the fence takes effect by a path in that folder: a create is a hard link from it, a replacement is a rename out
//! of it, a delete is a rename into it. When the folder was swept, each of these fails, however long the process was paused before the
//! call.
//!
//! A sweep compares the marker of a fence with a file that was just written, so no other clock is involved. It must never remove a
//! folder in place: it first renames the folder, which is atomic, so no path into the folder is valid from then on.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata as FileMetadata, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use datalake_core::keys::PRIVATE;
use jiff::Timestamp;

use crate::{bucket::STAGED_AGE_MAX, error::StoreError, unique_name::unique_name};

/// The file in a fence whose modification time is the creation time of the fence.
const MARKER: &str = "made";

/// The extension of a swept fence that is being removed.
const SWEPT: &str = "swept";

/// The staging folder of writes.
#[derive(Debug)]
pub(super) enum Staging {
    /// The folder for all writes without a fence.
    Shared(PathBuf),
    /// The folder of a fence, which a sweep can remove.
    Fenced(Fence),
}

impl Staging {
    pub(super) fn shared(root: &Path) -> Self {
        Self::Shared(shared_folder(root))
    }

    /// The folder in which to create files. The folder of a fence is never created again.
    pub(super) fn folder(&self) -> io::Result<&Path> {
        match self {
            Self::Shared(folder) => fs::create_dir_all(folder).map(|()| folder.as_path()),
            Self::Fenced(fence) => Ok(&fence.folder),
        }
    }

    /// Fails if this is a swept fence.
    pub(super) fn require(&self, key: &str) -> Result<(), StoreError> {
        match self {
            Self::Fenced(fence) if fence.is_swept() => Err(StoreError::Expired { key: key.to_owned() }),
            Self::Shared(_) | Self::Fenced(_) => Ok(()),
        }
    }

    /// The error for a write that had no effect: if the fence was swept, that is the reason.
    pub(super) fn unless_expired(&self, key: &str, error: StoreError) -> StoreError {
        self.require(key).err().unwrap_or(error)
    }

    /// Removes the file of an object.
    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let Self::Fenced(fence) = self else { return fs::remove_file(path) };
        let removed = fence.folder.join(unique_name().simple().to_string());
        fs::rename(path, &removed)?;
        // The object is gone. The file is removed with the fence at the latest.
        let _removed_later = fs::remove_file(removed);
        Ok(())
    }
}

/// The folder of a fence, which a sweep can remove. Dropping the fence removes the folder.
#[derive(Debug)]
pub(super) struct Fence {
    folder: PathBuf,
}

impl Fence {
    /// Creates a fence, removes fences that are too old, and returns the time of the file system.
    pub(super) fn new(root: &Path) -> io::Result<(Self, Timestamp)> {
        let fences = root.join(PRIVATE).join("fences");
        fs::create_dir_all(&fences)?;
        let folder = fences.join(unique_name().simple().to_string());
        fs::create_dir(&folder)?;
        let fence = Self { folder };
        let marker = create(&fence.folder.join(MARKER))?;
        // Folders of another process, perhaps of another user, must not stop this one. The vacuum reports them.
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
        // A sweep removes the folder if this fails.
        let _removed_later = fs::remove_dir_all(&self.folder);
    }
}

/// Removes fences and staged files older than [`STAGED_AGE_MAX`], and returns their number.
pub(super) fn sweep(root: &Path) -> io::Result<u64> {
    let shared = shared_folder(root);
    fs::create_dir_all(&shared)?;
    let path = shared.join(unique_name().simple().to_string());
    let newest = create(&path)?;
    fs::remove_file(&path)?;
    let fences = sweep_fences(&root.join(PRIVATE).join("fences"), &newest)?;
    Ok(fences + remove_old_files(&shared, &newest)?)
}

/// Removes the files in a folder that are too old, and returns their number. `newest` was just written.
pub(super) fn remove_old_files(folder: &Path, newest: &FileMetadata) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let described = fs::symlink_metadata(&path);
        // Its owner gave it its name, or another process removed it.
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
            // Its sweep was interrupted, or another process is removing it.
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

/// Whether a fence is too old. A marker that is dated in the future, because the file system's clock was set back, is not old. Its time is
/// set to the current time, so that the fence expires a full period after the first sweep that finds it.
fn has_expired(folder: &Path, newest: &FileMetadata) -> io::Result<bool> {
    let marker = folder.join(MARKER);
    // Without a marker, the fence is being created or removed, or its owner has died.
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

/// Whether a staged file is too old. A file that is dated in the future is not.
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

/// Success if the file does not exist.
fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
