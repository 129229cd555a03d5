//! CPU work off the threads that wait for the network.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{bucket::Object, simulation};

use crate::error::TableError;

/// Runs `work` on a blocking thread. A panic in it goes on here.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if simulation::is_active() {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Decodes an object off the threads that wait for the network.
///
/// The Parquet decoders panic on some damaged files, and end the process on others, because they allocate what a damaged length says. So the checksum
/// in the name of a file of this product is compared first; and a panic is reported as damage of the object, as the errors are that decoders return.
pub(crate) async fn decode<T: Send + 'static>(
    object: Object,
    decoder: impl FnOnce(&str, Bytes) -> Result<T, TableError> + Send + 'static,
) -> Result<T, TableError> {
    blocking(move || {
        let Object { meta, bytes, .. } = object;
        if keys::checksum_of(&meta.key).is_some_and(|checksum| checksum != crc32fast::hash(&bytes)) {
            return Err(TableError::corrupt(
                meta.key,
                "its bytes do not have the checksum that its name contains",
            ));
        }
        // The decoder owns all that it changes.
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder(&meta.key, bytes)));
        decoded.unwrap_or_else(|_| Err(TableError::corrupt(meta.key.as_str(), "its decoder panicked")))
    })
    .await
}
