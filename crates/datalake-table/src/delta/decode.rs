//! Decoding of Parquet objects, which may be damaged.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::bucket::Object;

use crate::{blocking::blocking, error::TableError};

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
