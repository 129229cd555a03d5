//! The declaration that a run uses: `--dataset`, else `dataset.toml` of the lake, else the built-in users.

use std::sync::Arc;

use datalake_core::{
    dataset::{Dataset, UnsupportedDataset},
    keys,
};
use datalake_store::bucket::Bucket;
use datalake_table::declaration;

use crate::error::RunError;

/// Why a run has no declaration. Retrying will not help.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationError {
    /// The declaration of the lake cannot be used.
    #[error(transparent)]
    Stored(declaration::DeclarationError),
    /// This version of the product does not implement a part of the declaration.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedDataset),
    /// The options of the run and the lake have different declarations.
    #[error(
        "{} of the lake differs from --dataset; upload the declaration with `datalake init --dataset FILE`, or omit --dataset",
        keys::DECLARATION
    )]
    Conflict,
}

/// What happens if the lake has another declaration than the options of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnConflict {
    /// The run fails.
    Fail,
    /// `--dataset` wins, whatever the lake has: nothing is changed.
    Override,
}

/// Loads and checks the declaration that a run uses.
pub(crate) async fn load_for_run(
    bucket: &dyn Bucket,
    given: Option<&Arc<Dataset>>,
    on_conflict: OnConflict,
) -> Result<Arc<Dataset>, RunError> {
    let stored = match (given, on_conflict) {
        (Some(_), OnConflict::Override) => None,
        _ => read(bucket).await?,
    };
    let dataset = match (stored, given) {
        (Some(stored), Some(given)) if stored != **given => return Err(DeclarationError::Conflict.into()),
        (_, Some(given)) => Arc::clone(given),
        (Some(stored), None) => Arc::new(stored),
        (None, None) => return Ok(Dataset::shared_users()),
    };
    dataset.check_supported().map_err(DeclarationError::Unsupported)?;
    Ok(dataset)
}

/// The declaration of the lake. None if there is none.
pub(crate) async fn read(bucket: &dyn Bucket) -> Result<Option<Dataset>, RunError> {
    declaration::read(bucket).await.map_err(|error| match error {
        declaration::DeclarationError::Store(error) => error.into(),
        error => DeclarationError::Stored(error).into(),
    })
}
