//! Writes, copies and deletes objects.

use aws_sdk_s3::{primitives::ByteStream, types::MetadataDirective};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    attempts::Attempts,
    bucket_client::BucketClient,
    errors::Failure,
    fence, multipart,
    put_request::{PutRequest, WRITER_METADATA},
    read,
    request::Request,
    response::{etag, quoted},
    retry::{OWN_ATTEMPTS_MAX, back_off},
    send::send,
};
use crate::{
    bucket::{Etag, Metadata, PutMode},
    error::StoreError,
    unique_name::unique_name,
};

/// The characters that are not encoded in the header that names a copy's source.
const IN_COPY_SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

pub(super) async fn put(client: &BucketClient, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
    let (if_none_match, if_match) = match mode {
        PutMode::Create => (Some("*".to_owned()), None),
        PutMode::Update(etag) => (None, Some(quoted(&etag))),
        PutMode::Replace => (None, None),
    };
    let writer = unique_name().simple().to_string();
    let mut metadata = metadata.clone();
    metadata.insert(WRITER_METADATA.to_owned(), writer.clone());
    let put = PutRequest {
        key,
        bytes,
        if_none_match,
        if_match,
        metadata,
    };
    let attempts = Attempts::new(client, Request::Put(key.to_owned()));
    for attempt in 1..=OWN_ATTEMPTS_MAX {
        match put_once(client, &put, &attempts).await {
            Ok(etag) => return Ok(etag),
            Err(Failure::Undecided(_)) if attempt < OWN_ATTEMPTS_MAX => back_off(client.backoff_first, attempt).await,
            Err(
                Failure::Undecided(error)
                | Failure::UploadGone(error)
                | Failure::Expired(error)
                | Failure::Final(error @ StoreError::Conflict { .. }),
            ) => return find_own_write(client, key, &writer, error).await,
            Err(Failure::Final(error)) => return Err(error),
        }
    }
    Err(StoreError::Conflict { key: key.to_owned() })
}

/// Checks whether the stored object is the one of this put: an attempt whose response was lost may have written it before a later attempt was
/// rejected with `rejection`.
async fn find_own_write(client: &BucketClient, key: &str, writer: &str, rejection: StoreError) -> Result<Etag, StoreError> {
    match read::head(client, key).await {
        Ok((head, found)) if found.as_deref() == Some(writer) => Ok(head.meta.etag),
        Ok(_) | Err(StoreError::NotFound { .. }) => Err(rejection),
        Err(error) => Err(error),
    }
}

async fn put_once(client: &BucketClient, put: &PutRequest<'_>, attempts: &Attempts) -> Result<Etag, Failure> {
    if put.bytes.len() > multipart::PUT_BYTES_MAX {
        return multipart::put(client, put).await;
    }
    let request = client
        .sdk
        .put_object()
        .bucket(&*client.bucket)
        .key(client.key(put.key))
        .body(ByteStream::from(put.bytes.clone()))
        .set_metadata(Some(put.metadata.clone().into_iter().collect()))
        .set_if_none_match(put.if_none_match.clone())
        .set_if_match(put.if_match.clone());
    let written = send!(client, attempts, fence::sign(client.fence, request.customize()))?;
    etag(client, put.key, written.e_tag()).map_err(Failure::Final)
}

pub(super) async fn copy(
    client: &BucketClient,
    from: &str,
    source_if_match: &Etag,
    to: &str,
    metadata: &Metadata,
) -> Result<Etag, StoreError> {
    let source = format!("{}/{}", client.bucket, utf8_percent_encode(&client.key(from), IN_COPY_SOURCE));
    let request = Request::Copy {
        from: from.to_owned(),
        to: to.to_owned(),
    };
    let attempts = Attempts::new(client, request);
    for attempt in 1..=OWN_ATTEMPTS_MAX {
        if !client.can_copy() {
            return copy_by_reading(client, from, source_if_match, to, metadata).await;
        }
        let request = client
            .sdk
            .copy_object()
            .bucket(&*client.bucket)
            .key(client.key(to))
            .copy_source(&source)
            .copy_source_if_match(quoted(source_if_match))
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(Some(metadata.clone().into_iter().collect()));
        match send!(client, &attempts, fence::sign(client.fence, request.customize())) {
            Ok(copied) => {
                return etag(client, to, copied.copy_object_result().and_then(|result| result.e_tag()));
            }
            Err(Failure::Undecided(_)) if attempt < OWN_ATTEMPTS_MAX => back_off(client.backoff_first, attempt).await,
            // Even if an earlier attempt copied the object, the copy can be repeated.
            Err(Failure::Expired(_)) => return Err(StoreError::Expired { key: to.to_owned() }),
            Err(failure) => match StoreError::from(failure) {
                error if error.is_not_supported() => client.disable_copy(),
                error => return Err(error),
            },
        }
    }
    Err(StoreError::Conflict { key: from.to_owned() })
}

/// A copy on a store without `CopyObject`: the bytes pass through this process.
async fn copy_by_reading(
    client: &BucketClient,
    from: &str,
    source_if_match: &Etag,
    to: &str,
    metadata: &Metadata,
) -> Result<Etag, StoreError> {
    let _permit = client.acquire_copy_permit().await;
    let source = read::get(client, from, Some(source_if_match), None).await?;
    put(client, to, source.bytes, PutMode::Replace, metadata).await
}

pub(super) async fn delete(client: &BucketClient, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
    // A server that ignores the condition would delete any object.
    if let Some(expected) = if_match
        && read::head(client, key).await?.0.meta.etag != *expected
    {
        return Err(StoreError::Conflict { key: key.to_owned() });
    }
    match delete_once(client, key, if_match.map(quoted)).await {
        // The store rejects the condition, so the comparison above has to be enough.
        Err(error) if if_match.is_some() && error.is_not_supported() => delete_once(client, key, None).await,
        deleted => deleted,
    }
}

async fn delete_once(client: &BucketClient, key: &str, if_match: Option<String>) -> Result<(), StoreError> {
    let has_condition = if_match.is_some();
    let attempts = Attempts::new(client, Request::Delete(key.to_owned()));
    let request = client
        .sdk
        .delete_object()
        .bucket(&*client.bucket)
        .key(client.key(key))
        .set_if_match(if_match);
    let deleted = send!(client, &attempts, fence::sign(client.fence, request.customize())).map_err(|failure| match failure {
        // Even if an earlier attempt deleted the object, the deletion can be repeated, unless it has a condition.
        Failure::Expired(_) if !has_condition => StoreError::Expired { key: key.to_owned() },
        failure => failure.into(),
    });
    match deleted {
        // Without a condition, a missing object is a success. After an attempt whose response was lost, that attempt deleted it.
        Err(StoreError::NotFound { .. }) if !has_condition || attempts.made() > 1 => Ok(()),
        deleted => deleted.map(drop),
    }
}
