//! Makes, finds and removes single copies.

use datalake_core::{dataset::FileColumn, image, keys, plan::SourceVersion, row::Provenance, row_id::RowId};
use datalake_store::{
    bucket::{Bucket, Etag, Head, Metadata, ObjectMeta, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};

use crate::file_budget::FileBudget;

/// Copies and removals in flight: the store moves the bytes, so only latency counts.
pub(crate) const COPIES_IN_FLIGHT_MAX: usize = 64;

/// The source's ETag in a copy's metadata, for stores that give a copy another ETag.
const SOURCE_ETAG: &str = "source-etag";

/// The source's size in the metadata of a copy that lacks the bytes after the end of the image in the source.
const SOURCE_SIZE: &str = "source-size";

/// Copies a source file within the store, if it still has the recorded ETag.
pub(crate) async fn copy(bucket: &dyn Bucket, key: &str, source: &Provenance, copy_key: &str) -> Result<(), StoreError> {
    let metadata = Metadata::from([(SOURCE_ETAG.to_owned(), source.etag.to_string())]);
    let condition = if simulation::has(Bug::ImageCopyIsUnconditional) {
        bucket.head(key).await?.meta.etag
    } else {
        Etag::new(&source.etag)
    };
    bucket.copy(key, &condition, copy_key, &metadata).await.map(drop)
}

/// Writes the part of a source that is the image, if the source still has the recorded ETag. Copies the source if all of it is the image.
pub(crate) async fn copy_part(
    bucket: &dyn Bucket,
    budget: &FileBudget,
    key: &str,
    source: &Provenance,
    copy_key: &str,
) -> Result<(), StoreError> {
    let _permit = budget.acquire(source.size).await;
    let found = bucket.get(key, Some(&Etag::new(&source.etag)), None).await?;
    match image::length(&found.bytes) {
        Some(length) if length < found.bytes.len() => {
            let metadata = Metadata::from([
                (SOURCE_ETAG.to_owned(), source.etag.to_string()),
                (SOURCE_SIZE.to_owned(), source.size.to_string()),
            ]);
            let bytes = found.bytes.slice(..length);
            bucket.put(copy_key, bytes, PutMode::Replace, &metadata).await.map(drop)
        }
        _ => copy(bucket, key, source, copy_key).await,
    }
}

/// Copies the file that a row links, if its source still is what the row recorded. Returns false otherwise.
pub(crate) async fn restore(
    bucket: &dyn Bucket,
    budget: &FileBudget,
    file: &FileColumn,
    row_id: &RowId,
    linked: &Provenance,
) -> Result<bool, StoreError> {
    for key in keys::file_sources(file, row_id) {
        match copy_part(bucket, budget, &key, linked, &file.path_of(row_id)).await {
            Ok(()) => return Ok(true),
            Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Removes a copy unless another run replaces it at the same time. Returns whether it was removed.
pub(crate) async fn remove(bucket: &dyn Bucket, file: &FileColumn, row_id: &RowId) -> Result<bool, StoreError> {
    let copy_key = file.path_of(row_id);
    let current = match bucket.head(&copy_key).await {
        Ok(head) => head.meta.etag,
        Err(StoreError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    match bucket.delete(&copy_key, Some(&current)).await {
        Ok(()) => Ok(true),
        Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the copy of a file was made from the version of the source that a row recorded.
pub(crate) async fn has_copy(bucket: &dyn Bucket, file: &FileColumn, row_id: &RowId, linked: &Provenance) -> Result<bool, StoreError> {
    match bucket.head(&file.path_of(row_id)).await {
        Ok(head) => Ok(is_copy(&head, &linked.etag, linked.size)),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a listed copy was made from the version of the source that the table recorded.
pub(crate) async fn is_copy_of(bucket: &dyn Bucket, copy: &ObjectMeta, source: &SourceVersion) -> Result<bool, StoreError> {
    if copy.size == source.size && copy.etag.as_str() == &*source.etag {
        return Ok(true);
    }
    // The metadata is needed if the store gives a copy another ETag, and if bytes after the image were left out.
    match bucket.head(&copy.key).await {
        Ok(head) => Ok(is_copy(&head, &source.etag, source.size)),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an object is a copy of this version of the source.
fn is_copy(copy: &Head, source_etag: &str, source_size: u64) -> bool {
    match copy.metadata.get(SOURCE_SIZE) {
        Some(size) => size.parse() == Ok(source_size) && is_of_source(&copy.metadata, source_etag),
        None => copy.meta.size == source_size && (copy.meta.etag.as_str() == source_etag || is_of_source(&copy.metadata, source_etag)),
    }
}

fn is_of_source(metadata: &Metadata, source_etag: &str) -> bool {
    metadata.get(SOURCE_ETAG).is_some_and(|etag| etag == source_etag)
}

/// Whether the metadata of a copy names the source with this ETag, or no source.
pub(crate) fn is_of_source_or_unmarked(metadata: &Metadata, source_etag: &str) -> bool {
    is_of_source(metadata, source_etag) || !metadata.contains_key(SOURCE_ETAG)
}
