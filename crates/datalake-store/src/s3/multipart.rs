//! Large objects: written in parts, visible with the last request, which decides the condition.

use std::ops::Range;

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    Inner,
    errors::{Attempts, Failure, classify, nonsense},
    etag, fence,
    request::Request,
    write::Write,
};
use crate::bucket::Etag;

/// Above so many bytes an object is written in parts.
pub(super) const PUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of a part, the last one aside. S3 takes 10,000 parts of at least 5 MiB: 80 GB in all.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts of one object in flight: two of them fill a line of 1 Gbit/s, the others hide the time between.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// Writes an object in parts. What was uploaded of one that fails is removed.
pub(super) async fn put(inner: &Inner, write: &Write<'_>) -> Result<Etag, Failure> {
    let attempts = Attempts::new(inner, Request::Put(write.key.to_owned()));
    let begun = inner
        .client
        .create_multipart_upload()
        .bucket(&*inner.bucket)
        .key(inner.key(write.key))
        .set_metadata(Some(write.metadata.clone().into_iter().collect()))
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| classify(inner, &attempts, error))?;
    let id = begun
        .upload_id()
        .ok_or_else(|| Failure::Final(nonsense(inner, write.key, "an upload begins without an id")))?;
    let uploaded = upload(inner, write, id).await;
    // A refused precondition leaves the parts behind as well; where the upload is gone, so are they.
    if matches!(uploaded, Err(Failure::Undecided(_) | Failure::Expired(_) | Failure::Final(_))) {
        abort(inner, write.key, id).await;
    }
    uploaded
}

async fn upload(inner: &Inner, write: &Write<'_>, id: &str) -> Result<Etag, Failure> {
    let length = write.bytes.len();
    let ranges = (0..length).step_by(PART_BYTES).map(|start| start..length.min(start + PART_BYTES));
    let parts: Vec<CompletedPart> = stream::iter((1..).zip(ranges))
        .map(|(number, range)| upload_part(inner, write, id, number, range))
        .buffered(PARTS_IN_FLIGHT_MAX)
        .try_collect()
        .await?;
    let attempts = Attempts::new(inner, Request::Put(write.key.to_owned()));
    let request = inner
        .client
        .complete_multipart_upload()
        .bucket(&*inner.bucket)
        .key(inner.key(write.key))
        .upload_id(id)
        .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
        .set_if_none_match(write.if_none_match.clone())
        .set_if_match(write.if_match.clone())
        .customize()
        .interceptor(attempts.clone());
    // The object appears with this request, so that no other one needs to expire.
    let completed = fence::sign(inner, request)
        .send()
        .await
        .map_err(|error| classify(inner, &attempts, error))?;
    etag(inner, write.key, completed.e_tag()).map_err(Failure::Final)
}

async fn upload_part(inner: &Inner, write: &Write<'_>, id: &str, number: i32, range: Range<usize>) -> Result<CompletedPart, Failure> {
    let attempts = Attempts::new(inner, Request::Put(write.key.to_owned()));
    let uploaded = inner
        .client
        .upload_part()
        .bucket(&*inner.bucket)
        .key(inner.key(write.key))
        .upload_id(id)
        .part_number(number)
        .body(ByteStream::from(write.bytes.slice(range)))
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| classify(inner, &attempts, error))?;
    Ok(CompletedPart::builder()
        .part_number(number)
        .set_e_tag(uploaded.e_tag().map(ToOwned::to_owned))
        .build())
}

async fn abort(inner: &Inner, key: &str, id: &str) {
    let attempts = Attempts::new(inner, Request::AbortUpload(key.to_owned()));
    let request = inner
        .client
        .abort_multipart_upload()
        .bucket(&*inner.bucket)
        .key(inner.key(key))
        .upload_id(id);
    if let Err(error) = request.customize().interceptor(attempts).send().await {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            error,
            "the parts of an upload that failed could not be removed; a lifecycle rule of the bucket would, key={key}"
        );
    }
}
