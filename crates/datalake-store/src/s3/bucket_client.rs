//! The client of one bucket: the state that all its requests share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_s3::Client;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{client::Connection, fence::Fence};
use crate::request_counter::RequestCounter;

/// The SDK's client with the bucket, the prefix of the lake's keys and the counter. Clones are cheap and share all state.
#[derive(Clone, Debug)]
pub(super) struct BucketClient {
    pub(super) sdk: Client,
    pub(super) bucket: Arc<str>,
    /// Empty, or ending with `/`.
    pub(super) prefix: Arc<str>,
    /// The server, as errors name it.
    pub(super) endpoint: Arc<str>,
    /// The longest wait after a first failure.
    pub(super) backoff_first: Duration,
    pub(super) counter: Arc<RequestCounter>,
    copies: Arc<Copies>,
    /// What the writes of a fenced view are signed with.
    pub(super) fence: Option<Fence>,
}

/// Copies whose bytes pass through this process, because the store does not implement `CopyObject`.
#[derive(Debug)]
struct Copies {
    are_by_reading: AtomicBool,
    permits: Semaphore,
}

impl Default for Copies {
    fn default() -> Self {
        /// Only images are copied, and they have at most 8 MiB: 32 MiB in memory.
        const COPIES_BY_READING_MAX: usize = 4;
        Self {
            are_by_reading: AtomicBool::new(false),
            permits: Semaphore::new(COPIES_BY_READING_MAX),
        }
    }
}

impl BucketClient {
    pub(super) fn new(connection: Connection, bucket: &str, prefix: &str, counter: Arc<RequestCounter>) -> Self {
        let Connection {
            client,
            endpoint,
            backoff_first,
        } = connection;
        Self {
            sdk: client,
            bucket: bucket.into(),
            prefix: prefix.into(),
            endpoint: endpoint.into(),
            backoff_first,
            counter,
            copies: Arc::default(),
            fence: None,
        }
    }

    /// A client of the same bucket whose writes are signed with another fence, or with none.
    pub(super) fn with_fence(&self, fence: Option<Fence>) -> Self {
        Self { fence, ..self.clone() }
    }

    /// The key in the bucket of a key in the lake.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Whether the store implements `CopyObject`. True until a copy has failed.
    pub(super) fn can_copy(&self) -> bool {
        !self.copies.are_by_reading.load(Ordering::Relaxed)
    }

    /// Records that the store does not implement `CopyObject`.
    pub(super) fn disable_copy(&self) {
        if !self.copies.are_by_reading.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                bucket = &*self.bucket,
                endpoint = &*self.endpoint,
                "the store does not implement CopyObject; images are copied by reading and writing them"
            );
        }
    }

    /// Waits for memory for a copy whose bytes pass through this process.
    pub(super) async fn acquire_copy_permit(&self) -> SemaphorePermit<'_> {
        self.copies.permits.acquire().await.expect("the semaphore is never closed")
    }

    /// The message for a bucket that does not exist.
    pub(super) fn missing_bucket(&self) -> String {
        format!(
            "bucket {} does not exist at {}; create it with `datalake init`, or check the lake's URL and the endpoint",
            self.bucket, self.endpoint
        )
    }
}
