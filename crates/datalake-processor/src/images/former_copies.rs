//! Removes the copies of files that an earlier declaration of the table made under other keys.

use std::sync::Arc;

use datalake_core::{dataset::Dataset, keys};
use datalake_store::{
    bucket::{Bucket, Fenced},
    error::StoreError,
};
use futures_util::TryStreamExt;

use super::compare::UNLINKED_AGE_MIN;

/// Removes the copies of the `former` declarations whose keys the `current` one does not use, and returns their number. A young copy may belong to a
/// run that changes the declaration back, and has not committed yet.
pub(crate) async fn remove(bucket: &dyn Bucket, former: &[Arc<Dataset>], current: &Dataset) -> Result<u64, StoreError> {
    let mut removed = 0;
    for dataset in former {
        let Some(copy_to) = dataset.files().first().and_then(|file| file.copy_to.as_ref()) else {
            continue;
        };
        let Fenced {
            bucket: fenced,
            store_time,
        } = bucket.fenced().await?;
        let mut objects = bucket.list(copy_to.folder(), None);
        while let Some(object) = objects.try_next().await? {
            let is_former = keys::parse_image(dataset, &object.key).is_some() && keys::parse_image(current, &object.key).is_none();
            if !is_former || store_time.duration_since(object.modified) < UNLINKED_AGE_MIN {
                continue;
            }
            match fenced.delete(&object.key, Some(&object.etag)).await {
                Ok(()) => removed += 1,
                Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {}
                // The next vacuum continues.
                Err(StoreError::Expired { .. }) => return Ok(removed),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(removed)
}
