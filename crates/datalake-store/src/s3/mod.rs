//! S3, and servers that speak like it, through the AWS SDK. The only module of the product that names it.

mod client;
mod errors;
mod list;
mod multipart;

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    config::SharedHttpClient,
    error::SdkError,
    operation::get_object::GetObjectOutput,
    primitives::{ByteStream, DateTime},
    types::{BucketLocationConstraint, CreateBucketConfiguration, MetadataDirective},
};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::errors::{Attempts, Failure, classify};
use crate::{
    bucket::{Bucket, Etag, Head, Metadata, Object, ObjectMeta, PutMode},
    counter::RequestCounter,
    error::StoreError,
    lake::OpenOptions,
};

/// Tries of a conditional write that the server could not decide (409), and of a body that broke off.
const TRIES_MAX: u32 = 4;

/// The name of the writer's id in an object's metadata. A conditional write that took effect and whose answer was lost is tried again by
/// the SDK and refused then; the id tells that the object there is our own.
const WRITER: &str = "writer";

/// A bucket, or what begins with a prefix in it.
#[derive(Clone, Debug)]
pub struct S3Bucket(Inner);

#[derive(Clone, Debug)]
struct Inner {
    client: Client,
    bucket: Arc<str>,
    /// Empty, or ending with `/`.
    prefix: Arc<str>,
    counter: Arc<RequestCounter>,
}

impl Inner {
    /// The key in the bucket of a key in the lake.
    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

#[derive(Clone, Debug, Default)]
struct WriteConditions {
    if_none_match: Option<String>,
    if_match: Option<String>,
}

impl S3Bucket {
    /// Configures a client. Nothing is asked of the store yet.
    pub async fn open(bucket: &str, prefix: &str, options: &OpenOptions, counter: Arc<RequestCounter>) -> Result<Self, StoreError> {
        let client = client::connect(options).await;
        Ok(Self(Inner {
            client,
            bucket: bucket.into(),
            prefix: prefix.into(),
            counter,
        }))
    }

    /// The bucket over somebody's HTTP: for tests without a network.
    pub fn over(http: SharedHttpClient, bucket: &str, prefix: &str) -> Self {
        let client = client::over(http);
        Self(Inner {
            client,
            bucket: bucket.into(),
            prefix: prefix.into(),
            counter: Arc::default(),
        })
    }

    async fn put_once(&self, key: &str, bytes: Bytes, conditions: &WriteConditions, metadata: &Metadata) -> Result<Etag, Failure> {
        let inner = &self.0;
        if bytes.len() > multipart::PUT_BYTES_MAX {
            return multipart::put(inner, key, bytes, conditions, metadata).await;
        }
        let attempts = Attempts::new(&inner.counter, RequestCounter::count_put);
        let written = inner
            .client
            .put_object()
            .bucket(&*inner.bucket)
            .key(inner.key(key))
            .body(ByteStream::from(bytes))
            .set_metadata(Some(metadata.clone().into_iter().collect()))
            .set_if_none_match(conditions.if_none_match.clone())
            .set_if_match(conditions.if_match.clone())
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|error| classify(key, &inner.bucket, &attempts, error))?;
        written.e_tag().map(etag).ok_or_else(|| Failure::Final(unavailable(key, &attempts)))
    }

    /// The description with the writer's id, which callers do not see.
    async fn describe(&self, key: &str) -> Result<(Head, Option<String>), StoreError> {
        let inner = &self.0;
        let attempts = Attempts::new(&inner.counter, RequestCounter::count_head);
        let head = inner
            .client
            .head_object()
            .bucket(&*inner.bucket)
            .key(inner.key(key))
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|error| classify(key, &inner.bucket, &attempts, error))?;
        let (Some(tag), Some(modified)) = (head.e_tag(), head.last_modified()) else {
            return Err(unavailable(key, &attempts));
        };
        let size = head
            .content_length()
            .and_then(|length| u64::try_from(length).ok())
            .unwrap_or_default();
        let meta = ObjectMeta {
            key: key.to_owned(),
            etag: etag(tag),
            size,
            modified: timestamp(key, modified)?,
        };
        let mut metadata: Metadata = head
            .metadata()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let writer = metadata.remove(WRITER);
        Ok((Head { meta, metadata }, writer))
    }

    async fn get_once(&self, key: &str, if_match: Option<&Etag>, range: Option<&Range<u64>>) -> Result<Option<Object>, StoreError> {
        let inner = &self.0;
        let attempts = Attempts::new(&inner.counter, RequestCounter::count_get);
        let found = inner
            .client
            .get_object()
            .bucket(&*inner.bucket)
            .key(inner.key(key))
            .set_if_match(if_match.map(quoted))
            .set_range(range.map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1))))
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|error| classify(key, &inner.bucket, &attempts, error))?;
        read_body(key, found, range.is_some()).await
    }
}

/// The object, or none where the body broke off.
async fn read_body(key: &str, found: GetObjectOutput, is_range: bool) -> Result<Option<Object>, StoreError> {
    let broken = |reason: &str| StoreError::Invalid {
        key: key.to_owned(),
        reason: format!("the store's answer {reason}"),
    };
    let length = found
        .content_length()
        .and_then(|length| u64::try_from(length).ok())
        .ok_or_else(|| broken("has no length"))?;
    let size = match found.content_range() {
        Some(range) if is_range => range
            .rsplit_once('/')
            .and_then(|(_, size)| size.parse().ok())
            .ok_or_else(|| broken("has an unreadable range"))?,
        _ => length,
    };
    let tag = found.e_tag().map(etag).ok_or_else(|| broken("has no tag"))?;
    let modified = timestamp(key, found.last_modified().ok_or_else(|| broken("has no time"))?)?;
    let mut metadata: Metadata = found
        .metadata()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    metadata.remove(WRITER);
    let Ok(body) = found.body.collect().await else { return Ok(None) };
    let bytes = body.into_bytes();
    if u64::try_from(bytes.len()) != Ok(length) {
        return Ok(None);
    }
    Ok(Some(Object {
        meta: ObjectMeta {
            key: key.to_owned(),
            etag: tag,
            size,
            modified,
        },
        metadata,
        bytes,
    }))
}

#[async_trait]
impl Bucket for S3Bucket {
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        list::list(self.0.clone(), prefix, start_after)
    }

    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        for _ in 0..TRIES_MAX {
            if let Some(object) = self.get_once(key, if_match, range.as_ref()).await? {
                return Ok(object);
            }
        }
        Err(StoreError::Unavailable {
            key: key.to_owned(),
            attempts: TRIES_MAX,
            source: None,
        })
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
        let conditions = match &mode {
            PutMode::Create => WriteConditions {
                if_none_match: Some("*".to_owned()),
                if_match: None,
            },
            PutMode::Update(etag) => WriteConditions {
                if_none_match: None,
                if_match: Some(quoted(etag)),
            },
            PutMode::Replace => WriteConditions::default(),
        };
        let writer = (mode != PutMode::Replace).then(|| uuid::Uuid::now_v7().simple().to_string());
        let mut with_writer = metadata.clone();
        with_writer.extend(writer.clone().map(|writer| (WRITER.to_owned(), writer)));
        let mut undecided = StoreError::Conflict { key: key.to_owned() };
        for _ in 0..TRIES_MAX {
            match self.put_once(key, bytes.clone(), &conditions, &with_writer).await {
                Ok(etag) => return Ok(etag),
                Err(Failure::Undecided(error)) => undecided = error,
                Err(Failure::Final(StoreError::Conflict { key })) => {
                    return match self.describe(&key).await {
                        Ok((head, found)) if found.is_some() && found == writer => Ok(head.meta.etag),
                        Ok(_) | Err(StoreError::NotFound { .. }) => Err(StoreError::Conflict { key }),
                        Err(error) => Err(error),
                    };
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
        Err(undecided)
    }

    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
        let inner = &self.0;
        let attempts = Attempts::new(&inner.counter, RequestCounter::count_copy);
        let source = format!("{}/{}", inner.bucket, utf8_percent_encode(&inner.key(from), IN_COPY_SOURCE));
        let copied = inner
            .client
            .copy_object()
            .bucket(&*inner.bucket)
            .key(inner.key(to))
            .copy_source(source)
            .copy_source_if_match(quoted(source_if_match))
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(Some(metadata.clone().into_iter().collect()))
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|error| classify(from, &inner.bucket, &attempts, error))?;
        copied
            .copy_object_result()
            .and_then(|result| result.e_tag())
            .map(etag)
            .ok_or_else(|| unavailable(from, &attempts))
    }

    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        let inner = &self.0;
        // Servers that do not know the condition would remove whatever is there.
        if let Some(expected) = if_match
            && self.head(key).await?.meta.etag != *expected
        {
            return Err(StoreError::Conflict { key: key.to_owned() });
        }
        let attempts = Attempts::new(&inner.counter, RequestCounter::count_delete);
        let deleted = inner
            .client
            .delete_object()
            .bucket(&*inner.bucket)
            .key(inner.key(key))
            .set_if_match(if_match.map(quoted))
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|error| StoreError::from(classify(key, &inner.bucket, &attempts, error)));
        match deleted {
            Err(StoreError::NotFound { .. }) if if_match.is_none() => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        self.describe(key).await.map(|(head, _)| head)
    }
}

/// Makes the bucket if there is none.
pub async fn create_bucket(bucket: &str, options: &OpenOptions) -> Result<(), StoreError> {
    let client = client::connect(options).await;
    let attempts = Attempts::new(&Arc::default(), RequestCounter::count_head);
    match client
        .head_bucket()
        .bucket(bucket)
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
    {
        Ok(_) => return Ok(()),
        Err(error) => match StoreError::from(classify("", bucket, &attempts, error)) {
            StoreError::NotFound { .. } => {}
            error => return Err(error),
        },
    }
    let region = client.config().region().map(ToString::to_string).unwrap_or_default();
    // AWS's first region is the one that must not be named; other servers take no other.
    let configuration = (region != "us-east-1").then(|| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(region.as_str()))
            .build()
    });
    match client
        .create_bucket()
        .bucket(bucket)
        .set_create_bucket_configuration(configuration)
        .send()
        .await
    {
        Ok(_) => Ok(()),
        // Somebody was faster, and it is ours.
        Err(SdkError::ServiceError(error)) if error.err().is_bucket_already_owned_by_you() => Ok(()),
        Err(error) => Err(classify("", bucket, &attempts, error).into()),
    }
}

/// What stays as it is in the header that names a copy's source.
const IN_COPY_SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

fn etag(tag: &str) -> Etag {
    Etag::new(tag)
}

fn quoted(etag: &Etag) -> String {
    format!("\"{etag}\"")
}

fn timestamp(key: &str, time: &DateTime) -> Result<Timestamp, StoreError> {
    let nanos = i32::try_from(time.subsec_nanos()).unwrap_or_default();
    Timestamp::new(time.secs(), nanos).map_err(|_| StoreError::Invalid {
        key: key.to_owned(),
        reason: "the store gives a time outside the calendar".to_owned(),
    })
}

fn unavailable(key: &str, attempts: &Attempts) -> StoreError {
    StoreError::Unavailable {
        key: key.to_owned(),
        attempts: attempts.made().max(1),
        source: None,
    }
}
