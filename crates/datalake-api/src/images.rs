//! Reads the copies of users' images from the lake.

use std::{sync::Arc, time::Duration};

use datalake_core::{error_chain::error_chain, image::IMAGE_BYTES_MAX};
use datalake_store::{
    bucket::{Bucket, Object, ObjectMeta},
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

    /// The size and ETag of an image.
    pub(crate) async fn head(&self, key: &str) -> Result<ObjectMeta, Problem> {
        let head = with_timeout(self.bucket.head(key)).await?;
        Ok(head.meta)
    }

    /// An image with its bytes.
    pub(crate) async fn get(&self, key: &str) -> Result<Object, Problem> {
        let object = with_timeout(async {
            let _permit = self.reads.acquire().await.expect("the semaphore is never closed");
            self.bucket.get(key, None, Some(0..IMAGE_BYTES_MAX)).await
        });
        let object = object.await?;
        if object.meta.size > IMAGE_BYTES_MAX {
            tracing::warn!(
                bytes = object.meta.size,
                "image copy larger than any image that a run copies; the vacuum replaces it"
            );
            return Err(Problem::StoreUnavailable);
        }
        Ok(object)
    }
}

async fn with_timeout<T>(read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Problem> {
    let read = tokio::time::timeout(STORE_WAIT_MAX, read).await;
    read.map_err(|_| Problem::StoreUnavailable)?.map_err(|error| to_problem(&error))
}

fn to_problem(error: &StoreError) -> Problem {
    match error {
        // A newer version may just have unlinked the image that the snapshot still names.
        StoreError::NotFound { .. } => Problem::NoImage,
        StoreError::Conflict { .. }
        | StoreError::Expired { .. }
        | StoreError::Denied { .. }
        | StoreError::Unavailable { .. }
        | StoreError::Invalid { .. } => {
            tracing::warn!(error = error_chain(error), "cannot read image");
            Problem::StoreUnavailable
        }
    }
}
