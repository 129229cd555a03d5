//! The declaration in the root of a lake.

use datalake_core::{
    count::count,
    dataset::{Dataset, DatasetError},
    keys,
};
use datalake_store::{bucket::Bucket, error::StoreError};

/// Why the declaration of a lake cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// The text is not a declaration.
    #[error("{} is invalid: {error}", keys::DECLARATION)]
    Invalid {
        /// What is wrong with it.
        error: DatasetError,
    },
    /// The object is empty, too large for a declaration, or not UTF-8.
    #[error(
        "{} is empty, larger than {} bytes or not UTF-8; upload the declaration with `datalake init --dataset FILE`",
        keys::DECLARATION,
        Dataset::BYTES_MAX
    )]
    NotText,
    /// The object could not be read.
    #[error(transparent)]
    Store(StoreError),
}

/// Reads the declaration of a lake. None if it has none.
pub async fn read(bucket: &dyn Bucket) -> Result<Option<Dataset>, DeclarationError> {
    let bytes_max = count(Dataset::BYTES_MAX);
    let object = match bucket.get(keys::DECLARATION, None, Some(0..bytes_max)).await {
        Ok(object) => object,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        // A range of an empty object is invalid.
        Err(StoreError::Invalid { .. }) => return Err(DeclarationError::NotText),
        Err(error) => return Err(DeclarationError::Store(error)),
    };
    let text = std::str::from_utf8(&object.bytes).ok().filter(|_| object.meta.size <= bytes_max);
    let dataset = Dataset::parse(text.ok_or(DeclarationError::NotText)?).map_err(|error| DeclarationError::Invalid { error })?;
    Ok(Some(dataset))
}
