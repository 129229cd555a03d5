//! Multipart uploads of large objects. The object appears with the last request, which also carries the condition.

use std::ops::Range;

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    attempts::Attempts,
    bucket_client::BucketClient,
    errors::Failure,
    fence,
    put_request::PutRequest,
    request::Request,
    response::{etag, unexpected},
    send::send,
};
use crate::{bucket::Etag, error::StoreError};

/// Larger objects are uploaded in parts.
pub(super) const PUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The bytes of each part except the last. S3 takes 10,000 parts of at least 5 MiB: 80 GB in all.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts of one object in flight: two of them fill a line of 1 Gbit/s, the others cover the time between requests.
const PARTS_IN_FLIGHT_MAX: usize = 4;

/// Uploads an object in parts. If that fails, the uploaded parts are removed.
pub(super) async fn put(client: &BucketClient, put: &PutRequest<'_>) -> Result<Etag, Failure> {
    let attempts = Attempts::new(client, Request::Put(put.key.to_owned()));
    let request = client
        .sdk
        .create_multipart_upload()
        .bucket(&*client.bucket)
        .key(client.key(put.key))
        .set_metadata(Some(put.metadata.clone().into_iter().collect()));
    let created = send!(client, &attempts, request.customize())?;
    let id = created
        .upload_id()
        .ok_or_else(|| Failure::Final(unexpected(client, put.key, "a multipart upload has no ID")))?;
    let uploaded = upload(client, put, id).await;
    // If the condition fails, the parts remain. If the upload no longer exists, neither do its parts.
    if matches!(uploaded, Err(Failure::Undecided(_) | Failure::Expired(_) | Failure::Final(_))) {
        abort(client, put.key, id).await;
    }
    uploaded
}

async fn upload(client: &BucketClient, put: &PutRequest<'_>, id: &str) -> Result<Etag, Failure> {
    let length = put.bytes.len();
    let ranges = (0..length).step_by(PART_BYTES).map(|start| start..length.min(start + PART_BYTES));
    let parts: Vec<CompletedPart> = stream::iter((1..).zip(ranges))
        .map(|(number, range)| upload_part(client, put, id, number, range))
        .buffered(PARTS_IN_FLIGHT_MAX)
        .try_collect()
        .await?;
    let attempts = Attempts::new(client, Request::Put(put.key.to_owned()));
    let request = client
        .sdk
        .complete_multipart_upload()
        .bucket(&*client.bucket)
        .key(client.key(put.key))
        .upload_id(id)
        .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
        .set_if_none_match(put.if_none_match.clone())
        .set_if_match(put.if_match.clone());
    // Only this request needs to expire, because the object appears with it.
    let completed = send!(client, &attempts, fence::sign(client.fence, request.customize()))?;
    etag(client, put.key, completed.e_tag()).map_err(Failure::Final)
}

async fn upload_part(
    client: &BucketClient,
    put: &PutRequest<'_>,
    id: &str,
    number: i32,
    range: Range<usize>,
) -> Result<CompletedPart, Failure> {
    let attempts = Attempts::new(client, Request::Put(put.key.to_owned()));
    let request = client
        .sdk
        .upload_part()
        .bucket(&*client.bucket)
        .key(client.key(put.key))
        .upload_id(id)
        .part_number(number)
        .body(ByteStream::from(put.bytes.slice(range)));
    let uploaded = send!(client, &attempts, request.customize())?;
    Ok(CompletedPart::builder()
        .part_number(number)
        .set_e_tag(uploaded.e_tag().map(ToOwned::to_owned))
        .build())
}

async fn abort(client: &BucketClient, key: &str, id: &str) {
    let attempts = Attempts::new(client, Request::AbortUpload(key.to_owned()));
    let request = client
        .sdk
        .abort_multipart_upload()
        .bucket(&*client.bucket)
        .key(client.key(key))
        .upload_id(id);
    if let Err(error) = send!(client, &attempts, request.customize()).map_err(StoreError::from) {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            error,
            key,
            "cannot remove the parts of a failed upload; a lifecycle rule of the bucket can remove them"
        );
    }
}
