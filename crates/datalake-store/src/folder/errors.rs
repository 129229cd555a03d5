//! Errors of the file system as errors of the store.

use std::{fs, io, path::Path};

use crate::error::StoreError;

/// The store's error for an error of the file system.
pub(super) fn store_error(key: &str, error: io::Error) -> StoreError {
    /// EIO, ESTALE, and on Linux EBADMSG, EUCLEAN and ENOKEY: errors of a single file.
    const OF_ONE_FILE: &[i32] = if cfg!(target_os = "linux") {
        &[5, 116, 74, 117, 126]
    } else {
        &[5, 70]
    };
    let key = key.to_owned();
    match error.kind() {
        _ if error.raw_os_error().is_some_and(|code| OF_ONE_FILE.contains(&code)) => StoreError::Denied {
            reason: format!("cannot access {key}: {error}; check the disk and its file system"),
            key,
            cause: Some(Box::new(error)),
        },
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => StoreError::NotFound { key },
        io::ErrorKind::AlreadyExists => StoreError::Conflict { key },
        io::ErrorKind::PermissionDenied => StoreError::Denied {
            reason: format!("cannot access {key}: {error}; check the owner and the mode of the file and its folders"),
            key,
            cause: Some(Box::new(error)),
        },
        io::ErrorKind::ReadOnlyFilesystem => StoreError::Denied {
            reason: format!("cannot write {key}: {error}; mount the folder of the lake with write access"),
            key,
            cause: Some(Box::new(error)),
        },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => StoreError::Unavailable {
            reason: format!("cannot write {key}: {error}; free space on the file system of the lake's folder"),
            key,
            attempts: 1,
            cause: Some(Box::new(error)),
        },
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => StoreError::Invalid {
            key,
            reason: format!("the file system cannot hold this name ({error})"),
        },
        _ => StoreError::Unavailable {
            reason: format!("cannot access {key}: {error}"),
            key,
            attempts: 1,
            cause: Some(Box::new(error)),
        },
    }
}

/// The store's error for a file that could not be linked or renamed to its name.
pub(super) fn naming_error(key: &str, path: &Path, error: io::Error) -> StoreError {
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

/// The store's error for a file system without hard links.
pub(super) fn no_hard_links(key: &str, root: &Path, failure: &io::Error) -> StoreError {
    let reason = format!(
        "the file system of {} has no hard links (FAT, exFAT and some network shares have none), so concurrent runs could overwrite \
         each other's commit; store the lake on another file system, or pass --single-writer and make sure that only one run is active",
        root.display()
    );
    StoreError::not_supported(key, reason, failure.to_string())
}

#[cfg(test)]
mod tests;
