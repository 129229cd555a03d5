//! Reads the files of rows from the lake: their copies, or the sources of files that are not copied.

use std::{sync::Arc, time::Duration};

use datalake_core::{dataset::FileColumn, error_chain::error_chain, row_id::RowId};
use datalake_store::{
    bucket::{Bucket, Etag, Object, ObjectMeta},
    error::StoreError,
};
use tokio::sync::Semaphore;

use crate::problem::Problem;

/// An image has 8 MiB at most. A healthy store sends it within a second.
const STORE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Concurrent reads of images: 64 MiB of the largest ones. The response budget counts the bytes until they are sent.
const READS_MAX: usize = 8;

/// The bucket with the image copies. Clones share the limit of concurrent reads.
#[derive(Clone, Debug)]
pub(crate) struct ImageReader {
    bucket: Arc<dyn Bucket>,
    reads: Arc<Semaphore>,
}

impl ImageReader {
    /// Reads images from this bucket.
    pub(crate) fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self {
            bucket,
            reads: Arc::new(Semaphore::new(READS_MAX)),
        }
    }

    /// The size and ETag of a file; none if it does not exist, or was replaced.
    pub(crate) async fn head(&self, location: &FileLocation) -> Result<Option<ObjectMeta>, Problem> {
        for key in &location.keys {
            let head = with_timeout(self.bucket.head(key)).await?;
            let is_linked = |meta: &ObjectMeta| location.etag.as_ref().is_none_or(|etag| *etag == meta.etag);
            if let Some(meta) = head.map(|head| head.meta).filter(is_linked) {
                return Ok(Some(meta));
            }
        }
        Ok(None)
    }

    /// A file with its bytes; none if it does not exist, or was replaced.
    pub(crate) async fn get(&self, location: &FileLocation) -> Result<Option<Object>, Problem> {
        for key in &location.keys {
            let object = with_timeout(async {
                let _permit = self.reads.acquire().await.expect("the semaphore is never closed");
                let range = Some(0..location.bytes_max);
                match self.bucket.get(key, location.etag.as_ref(), range).await {
                    // The source was replaced since the run that linked it; the next run links the new one.
                    Err(StoreError::Conflict { .. }) => Err(StoreError::NotFound { key: key.clone() }),
                    object => object,
                }
            });
            let Some(object) = object.await? else { continue };
            if object.meta.size > location.bytes_max {
                tracing::warn!(
                    bytes = object.meta.size,
                    "image copy larger than any image that a run copies; the vacuum replaces it"
                );
                return Err(Problem::StoreUnavailable);
            }
            return Ok(Some(object));
        }
        Ok(None)
    }
}

/// Where the bytes of a linked file are.
#[derive(Debug)]
pub(crate) struct FileLocation {
    /// The keys that the object can have.
    keys: Vec<String>,
    /// The version of a file that is not copied; none for a copy, which a run may have replaced.
    etag: Option<Etag>,
    bytes_max: u64,
}

impl FileLocation {
    /// A copy.
    pub(crate) fn copy(key: String, file: &FileColumn) -> Self {
        Self {
            keys: vec![key],
            etag: None,
            bytes_max: file.bytes_max.into(),
        }
    }

    /// A file that is served from its source.
    pub(crate) fn source(file: &FileColumn, etag: Etag, row_id: &RowId) -> Self {
        Self {
            keys: file.key.spellings(row_id),
            etag: Some(etag),
            bytes_max: file.bytes_max.into(),
        }
    }
}

/// The result of a read; none if there is no such object.
async fn with_timeout<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<Option<T>, Problem> {
    let read = tokio::time::timeout(STORE_WAIT_MAX, read).await;
    match read.map_err(|_| Problem::StoreUnavailable)? {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => {
            tracing::warn!(error = error_chain(&error), "cannot read image");
            Err(Problem::StoreUnavailable)
        }
    }
}
