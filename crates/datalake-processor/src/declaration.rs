//! The declaration of the sources of a run: that of the run's options, or that of the lake, or the users.

use std::sync::Arc;

use datalake_core::{
    count::count,
    dataset::{Dataset, DatasetError, UnsupportedDataset},
    keys,
};
use datalake_store::{bucket::Bucket, error::StoreError};

/// Why a run has no declaration. Retrying does not help.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// The text is not a declaration.
    #[error("{} is invalid: {error}", keys::DECLARATION)]
    Invalid {
        /// What is wrong with it.
        error: DatasetError,
    },
    /// The object is too large for a declaration, or is no text.
    #[error(
        "{} is not a text of at most {} bytes; upload the declaration with `datalake init --dataset`",
        keys::DECLARATION,
        Dataset::BYTES_MAX
    )]
    NotText,
    /// This version of the product does not implement a part of the declaration.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedDataset),
    /// The options of the run and the lake have different declarations.
    #[error(
        "{} of the lake differs from --dataset; upload the declaration with `datalake init --dataset`, or omit --dataset",
        keys::DECLARATION
    )]
    Conflict,
}

/// What happens if the lake has another declaration than the options of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnConflict {
    /// The run fails.
    Fail,
    /// The declaration of the options counts: nothing is changed.
    Override,
}

/// The declaration of a run.
pub(crate) async fn of_run(
    bucket: &dyn Bucket,
    given: Option<&Arc<Dataset>>,
    on_conflict: OnConflict,
) -> Result<Arc<Dataset>, crate::error::RunError> {
    let dataset = match (read(bucket).await?, given) {
        (Some(stored), Some(given)) if stored != **given && on_conflict == OnConflict::Fail => {
            return Err(DeclarationError::Conflict.into());
        }
        (_, Some(given)) => Arc::clone(given),
        (Some(stored), None) => Arc::new(stored),
        (None, None) => return Ok(Dataset::shared_users()),
    };
    dataset.check_supported().map_err(DeclarationError::Unsupported)?;
    Ok(dataset)
}

/// The declaration of the lake. None if there is none.
pub(crate) async fn read(bucket: &dyn Bucket) -> Result<Option<Dataset>, crate::error::RunError> {
    let bytes_max = count(Dataset::BYTES_MAX);
    let object = match bucket.get(keys::DECLARATION, None, Some(0..bytes_max)).await {
        Ok(object) => object,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        // A range of an empty object is invalid.
        Err(StoreError::Invalid { .. }) => return Err(DeclarationError::NotText.into()),
        Err(error) => return Err(error.into()),
    };
    let text = std::str::from_utf8(&object.bytes).ok().filter(|_| object.meta.size <= bytes_max);
    let dataset = Dataset::parse(text.ok_or(DeclarationError::NotText)?).map_err(|error| DeclarationError::Invalid { error })?;
    Ok(Some(dataset))
}
