//! CPU-bound work outside of the threads for asynchronous I/O.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{bucket::Object, simulation};

use crate::error::TableError;

/// Runs `work` on a blocking thread, and propagates its panic.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if simulation::is_active() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Decodes an object on a blocking thread.
///
/// The Parquet decoders panic on some damaged files, and abort the process on others, because they allocate memory by a damaged length. So
/// the checksum in the name of this product's files is compared first, and a panic is reported as damage of the object.
pub(crate) async fn decode<T: Send + 'static>(
    object: Object,
    decoder: impl FnOnce(&str, Bytes) -> Result<T, TableError> + Send + 'static,
) -> Result<T, TableError> {
    blocking(move || {
        let Object { meta, bytes, .. } = object;
        if keys::checksum_of(&meta.key).is_some_and(|checksum| checksum != crc32fast::hash(&bytes)) {
            return Err(TableError::corrupt(meta.key, "its bytes do not match the checksum in its name"));
        }
        // The decoder changes only data that it owns.
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder(&meta.key, bytes)));
        decoded.unwrap_or_else(|_| Err(TableError::corrupt(meta.key.as_str(), "its decoder panicked")))
    })
    .await
}
