//! Large objects: written in parts, visible with the last request, which decides the condition.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    Inner, WriteConditions,
    errors::{Attempts, Failure, classify},
    etag,
};
use crate::{
    bucket::{Etag, Metadata},
    counter::RequestCounter,
    error::StoreError,
};

/// Above so many bytes an object is written in parts.
pub(super) const PUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of a part, the last one aside. S3 takes 10,000 parts of at least 5 MiB: 80 GB in all.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts in flight.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// Writes an object in parts. What was uploaded of one that fails is removed.
pub(super) async fn put(
    inner: &Inner,
    key: &str,
    bytes: Bytes,
    conditions: &WriteConditions,
    metadata: &Metadata,
) -> Result<Etag, Failure> {
    let attempts = Attempts::new(&inner.counter, RequestCounter::count_put);
    let begun = inner
        .client
        .create_multipart_upload()
        .bucket(&*inner.bucket)
        .key(inner.key(key))
        .set_metadata(Some(metadata.clone().into_iter().collect()))
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| classify(key, &inner.bucket, &attempts, error))?;
    let upload_id = begun.upload_id().unwrap_or_default().to_owned();
    match upload(inner, key, bytes, conditions, &upload_id).await {
        Ok(etag) => Ok(etag),
        Err(failure) => {
            let abort = inner
                .client
                .abort_multipart_upload()
                .bucket(&*inner.bucket)
                .key(inner.key(key))
                .upload_id(upload_id);
            if let Err(error) = abort.send().await {
                tracing::warn!(key, error = %error, "the parts of an upload that failed could not be removed; a lifecycle rule may");
            }
            Err(failure)
        }
    }
}

async fn upload(inner: &Inner, key: &str, bytes: Bytes, conditions: &WriteConditions, upload_id: &str) -> Result<Etag, Failure> {
    let ranges = (0..bytes.len())
        .step_by(PART_BYTES)
        .map(|start| start..bytes.len().min(start + PART_BYTES));
    let parts: Vec<CompletedPart> = stream::iter(
        ranges
            .zip(1..)
            .map(|(range, number)| part(inner, key, upload_id, number, bytes.slice(range))),
    )
    .buffered(PARTS_IN_FLIGHT_MAX)
    .try_collect()
    .await?;
    let attempts = Attempts::new(&inner.counter, RequestCounter::count_put);
    let completed = inner
        .client
        .complete_multipart_upload()
        .bucket(&*inner.bucket)
        .key(inner.key(key))
        .upload_id(upload_id)
        .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
        .set_if_none_match(conditions.if_none_match.clone())
        .set_if_match(conditions.if_match.clone())
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| classify(key, &inner.bucket, &attempts, error))?;
    completed.e_tag().map(etag).ok_or_else(|| {
        Failure::Final(StoreError::Unavailable {
            key: key.to_owned(),
            attempts: attempts.made(),
            source: None,
        })
    })
}

async fn part(inner: &Inner, key: &str, upload_id: &str, number: i32, bytes: Bytes) -> Result<CompletedPart, Failure> {
    let attempts = Attempts::new(&inner.counter, RequestCounter::count_put);
    let uploaded = inner
        .client
        .upload_part()
        .bucket(&*inner.bucket)
        .key(inner.key(key))
        .upload_id(upload_id)
        .part_number(number)
        .body(ByteStream::from(bytes))
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| classify(key, &inner.bucket, &attempts, error))?;
    Ok(CompletedPart::builder()
        .part_number(number)
        .set_e_tag(uploaded.e_tag().map(ToOwned::to_owned))
        .build())
}
