//! The lock by which all processes replace and delete objects one after the other.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::Path,
    thread,
    time::Duration,
};

use datalake_core::keys::PRIVATE;
use tokio::time::Instant;

use super::errors::store_error;
use crate::error::StoreError;

/// A process holds the lock for some milliseconds. A process that is suspended in this time must not block all others.
const LOCK_WAIT_MAX: Duration = Duration::from_mins(1);

/// A longer wait is logged.
const LOCK_WAIT_USUAL: Duration = Duration::from_secs(2);

/// The longest time between two attempts, which is about as long as the lock is held.
const LOCK_POLL_MAX_MS: u64 = 5;

/// Acquires the lock, which is released when the file is dropped or the process ends.
pub(super) fn lock(root: &Path, key: &str) -> Result<File, StoreError> {
    let folder = root.join(PRIVATE);
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
                cause: None,
            });
        }
        if !is_logged && start.elapsed() > LOCK_WAIT_USUAL {
            is_logged = true;
            tracing::warn!(key, "waiting for the lock of the lake's folder; another process holds it");
        }
        thread::sleep(Duration::from_millis(fastrand::u64(1..=LOCK_POLL_MAX_MS)));
    }
}
