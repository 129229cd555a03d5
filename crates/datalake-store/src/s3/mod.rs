//! S3, and servers that speak like it, through the AWS SDK. The only module of the product that names it.

mod client;
mod create;
mod environment;
mod errors;
mod fence;
mod http;
mod list;
mod multipart;
mod read;
mod request;
mod retry;
mod sweep;
mod tls;
mod write;

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_s3::{Client, primitives::DateTime};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::Semaphore;

pub use self::create::create_bucket;
use self::{client::Connection, errors::nonsense, fence::Fence};
use crate::{
    bucket::{Bucket, Etag, Fenced, Head, Metadata, Object, ObjectMeta, PutMode},
    counter::RequestCounter,
    error::StoreError,
    open_options::OpenOptions,
};

/// A bucket, or what begins with a prefix in it.
#[derive(Clone, Debug)]
pub struct S3Bucket(Inner);

#[derive(Clone, Debug)]
struct Inner {
    client: Client,
    bucket: Arc<str>,
    /// Empty, or ending with `/`.
    prefix: Arc<str>,
    /// The server, as errors name it.
    endpoint: Arc<str>,
    /// The longest wait after a first failure.
    backoff_first: Duration,
    counter: Arc<RequestCounter>,
    copies: Arc<Copies>,
    /// What the writes of a fenced view are signed with.
    fence: Option<Fence>,
}

/// Copies whose bytes pass through this process, because the store does not implement `CopyObject`.
#[derive(Debug)]
struct Copies {
    are_by_reading: AtomicBool,
    permits: Semaphore,
}

impl Default for Copies {
    fn default() -> Self {
        /// Images, which are copied, have at most 8 MiB: 32 MiB in memory.
        const COPIES_BY_READING_MAX: usize = 4;
        Self {
            are_by_reading: AtomicBool::new(false),
            permits: Semaphore::new(COPIES_BY_READING_MAX),
        }
    }
}

impl Inner {
    fn new(connection: Connection, bucket: &str, prefix: &str, counter: Arc<RequestCounter>) -> Self {
        let Connection {
            client,
            endpoint,
            backoff_first,
        } = connection;
        Self {
            client,
            bucket: bucket.into(),
            prefix: prefix.into(),
            endpoint: endpoint.into(),
            backoff_first,
            counter,
            copies: Arc::default(),
            fence: None,
        }
    }

    /// The key in the bucket of a key in the lake.
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Whether the store implements `CopyObject`, as far as is known.
    fn can_copy(&self) -> bool {
        !self.copies.are_by_reading.load(Ordering::Relaxed)
    }

    /// Remembers that the store does not implement `CopyObject`.
    fn cannot_copy(&self) {
        if !self.copies.are_by_reading.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                bucket = &*self.bucket,
                endpoint = &*self.endpoint,
                "the store does not implement CopyObject; images are copied by reading and writing them"
            );
        }
    }

    fn missing_bucket(&self) -> String {
        format!(
            "bucket {} does not exist at {}; create it with `datalake init`, or check the lake's URL and the endpoint",
            self.bucket, self.endpoint
        )
    }
}

impl S3Bucket {
    /// Configures a client. Nothing is asked of the store yet; settings that can never work are refused. `prefix` is empty or ends
    /// with `/`, and every request to S3 is counted in `counter`, each attempt of each.
    pub async fn open(bucket: &str, prefix: &str, options: &OpenOptions, counter: Arc<RequestCounter>) -> Result<Self, StoreError> {
        let connection = client::connect(options, bucket).await?;
        Ok(Self(Inner::new(connection, bucket, prefix, counter)))
    }

    /// A view whose writes were signed at that time by the store's clock: for tests that cannot wait.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn fenced_at(&self, store_time: Timestamp) -> Self {
        Self(Inner {
            fence: Some(Fence::new(store_time)),
            ..self.0.clone()
        })
    }

    /// The bucket over HTTP within the process: for tests without a network. Attempts and time-outs are the product's, but it never waits
    /// between attempts.
    #[cfg(feature = "testing")]
    pub fn over(http: aws_sdk_s3::config::SharedHttpClient, bucket: &str, prefix: &str, counter: Arc<RequestCounter>) -> Self {
        Self::over_with_clock(http, aws_smithy_async::time::SharedTimeSource::default(), bucket, prefix, counter)
    }

    /// As [`Self::over`], with another clock of this machine.
    #[cfg(feature = "testing")]
    pub fn over_with_clock(
        http: aws_sdk_s3::config::SharedHttpClient,
        clock: aws_smithy_async::time::SharedTimeSource,
        bucket: &str,
        prefix: &str,
        counter: Arc<RequestCounter>,
    ) -> Self {
        Self(Inner::new(client::over(http, clock), bucket, prefix, counter))
    }

    /// Makes the bucket as [`create_bucket`] does.
    #[cfg(feature = "testing")]
    pub async fn create(&self) -> Result<(), StoreError> {
        create::create(&self.0).await
    }
}

#[async_trait]
impl Bucket for S3Bucket {
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        list::list(self.0.clone(), prefix, start_after)
    }

    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        read::get(&self.0, key, if_match, range).await
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
        write::put(&self.0, key, bytes, mode, metadata).await
    }

    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
        write::copy(&self.0, from, source_if_match, to, metadata).await
    }

    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        write::delete(&self.0, key, if_match).await
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        read::head(&self.0, key).await.map(|(head, _)| head)
    }

    async fn fenced(&self) -> Result<Fenced, StoreError> {
        let (view, store_time) = fence::fenced(&self.0).await?;
        Ok(Fenced {
            bucket: Arc::new(Self(view)),
            store_time,
        })
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        sweep::sweep(&self.0).await
    }

    fn identity(&self) -> String {
        format!("{}/{}/{}", self.0.endpoint, self.0.bucket, self.0.prefix)
    }
}

/// The ETag of a response. Without one, or with one that is empty, changes of the object could not be detected.
fn etag(inner: &Inner, key: &str, text: Option<&str>) -> Result<Etag, StoreError> {
    let etag = text.map(Etag::new).filter(|etag| !etag.as_str().is_empty());
    etag.ok_or_else(|| {
        let found = if text.is_some() { "an empty ETag" } else { "no ETag" };
        nonsense(inner, key, &format!("the object has {found}; upload the object again through S3"))
    })
}

fn quoted(etag: &Etag) -> String {
    format!("\"{etag}\"")
}

/// In whole seconds: a listing knows milliseconds on some servers, an object's own headers never do, and both are to say the same.
fn timestamp(inner: &Inner, key: &str, time: Option<&DateTime>) -> Result<Timestamp, StoreError> {
    let time = time.ok_or_else(|| nonsense(inner, key, "an object comes without a time"))?;
    Timestamp::from_second(time.secs()).map_err(|_| nonsense(inner, key, "an object's time is outside the calendar"))
}
