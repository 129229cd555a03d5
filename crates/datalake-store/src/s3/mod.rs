//! S3 and compatible servers, through the AWS SDK. Only this module uses the SDK.

mod attempts;
mod bucket_client;
mod client;
mod create_bucket;
mod environment;
mod errors;
mod fence;
mod fenced_view;
mod http;
mod list;
mod multipart;
mod put_request;
mod read;
mod request;
mod response;
mod retry;
mod send;
mod server_date;
mod sweep;
mod tls;
mod write;

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
#[cfg(feature = "testing")]
use jiff::Timestamp;

use self::bucket_client::BucketClient;
#[cfg(feature = "testing")]
use self::fence::Fence;
pub use crate::s3::create_bucket::{bucket_exists, create_bucket};
use crate::{
    bucket::{Bucket, Etag, Fenced, Head, Metadata, Object, ObjectMeta, PutMode},
    error::StoreError,
    open_options::OpenOptions,
    request_counter::RequestCounter,
};

/// A lake in a bucket, or under a prefix of one.
#[derive(Clone, Debug)]
pub struct S3Bucket(BucketClient);

impl S3Bucket {
    /// Configures a client. Sends no request, and rejects settings that can never work. `prefix` is empty or ends with `/`. Each attempt of
    /// each request is counted in `counter`.
    pub async fn open(bucket: &str, prefix: &str, options: &OpenOptions, counter: Arc<RequestCounter>) -> Result<Self, StoreError> {
        let connection = client::connect(options, bucket).await?;
        Ok(Self(BucketClient::new(connection, bucket, prefix, counter)))
    }

    /// A view whose writes are signed at this time of the store's clock, for tests that cannot wait for the expiry.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn fenced_at(&self, store_time: Timestamp) -> Self {
        Self(self.0.with_fence(Some(Fence::new(store_time))))
    }

    /// A bucket behind an HTTP client in this process, for tests without a network. Attempts and timeouts are those of the product, but
    /// there is no wait between attempts.
    #[cfg(feature = "testing")]
    pub fn over(http: aws_sdk_s3::config::SharedHttpClient, bucket: &str, prefix: &str, counter: Arc<RequestCounter>) -> Self {
        Self::over_with_clock(http, aws_smithy_async::time::SharedTimeSource::default(), bucket, prefix, counter)
    }

    /// A bucket behind an HTTP client in this process, as [`Self::over`] makes it, with another local clock.
    #[cfg(feature = "testing")]
    pub fn over_with_clock(
        http: aws_sdk_s3::config::SharedHttpClient,
        clock: aws_smithy_async::time::SharedTimeSource,
        bucket: &str,
        prefix: &str,
        counter: Arc<RequestCounter>,
    ) -> Self {
        Self(BucketClient::new(client::over(http, clock), bucket, prefix, counter))
    }

    /// Creates the bucket as [`create_bucket`] does.
    #[cfg(feature = "testing")]
    pub async fn create(&self) -> Result<(), StoreError> {
        create_bucket::create(&self.0).await
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
        let (view, store_time) = fenced_view::fenced(&self.0).await?;
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
