//! Writing, copying and removing objects.

use aws_sdk_s3::{primitives::ByteStream, types::MetadataDirective};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Inner,
    errors::{Attempts, Failure, classify},
    etag, fence, multipart, quoted, read,
    request::Request,
    retry::{OWN_ATTEMPTS_MAX, back_off},
};
use crate::{
    bucket::{Etag, Metadata, PutMode},
    error::StoreError,
    unique::unique,
};

/// The name of the writer's id in an object's metadata. A write that took effect and whose answer was lost is tried again by the SDK and
/// refused then; the id tells that the object there is our own.
pub(super) const WRITER: &str = "datalake-writer";

/// What stays as it is in the header that names a copy's source.
const IN_COPY_SOURCE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A put, as it is sent.
#[derive(Debug)]
pub(super) struct Write<'a> {
    pub(super) key: &'a str,
    pub(super) bytes: Bytes,
    pub(super) if_none_match: Option<String>,
    pub(super) if_match: Option<String>,
    pub(super) metadata: Metadata,
}

pub(super) async fn put(inner: &Inner, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
    let (if_none_match, if_match) = match mode {
        PutMode::Create => (Some("*".to_owned()), None),
        PutMode::Update(etag) => (None, Some(quoted(&etag))),
        PutMode::Replace => (None, None),
    };
    let writer = unique().simple().to_string();
    let mut metadata = metadata.clone();
    metadata.insert(WRITER.to_owned(), writer.clone());
    let write = Write {
        key,
        bytes,
        if_none_match,
        if_match,
        metadata,
    };
    let attempts = Attempts::new(inner, Request::Put(key.to_owned()));
    for attempt in 1..=OWN_ATTEMPTS_MAX {
        match put_once(inner, &write, &attempts).await {
            Ok(etag) => return Ok(etag),
            Err(Failure::Undecided(_)) if attempt < OWN_ATTEMPTS_MAX => back_off(inner.backoff_first, attempt).await,
            Err(
                Failure::Undecided(error)
                | Failure::UploadGone(error)
                | Failure::Expired(error)
                | Failure::Final(error @ StoreError::Conflict { .. }),
            ) => return settle(inner, key, &writer, error).await,
            Err(Failure::Final(error)) => return Err(error),
        }
    }
    Err(StoreError::Conflict { key: key.to_owned() })
}

/// Whether the object there is the one of this put, although an attempt of it was refused.
async fn settle(inner: &Inner, key: &str, writer: &str, refused: StoreError) -> Result<Etag, StoreError> {
    match read::head(inner, key).await {
        Ok((head, found)) if found.as_deref() == Some(writer) => Ok(head.meta.etag),
        Ok(_) | Err(StoreError::NotFound { .. }) => Err(refused),
        Err(error) => Err(error),
    }
}

async fn put_once(inner: &Inner, write: &Write<'_>, attempts: &Attempts) -> Result<Etag, Failure> {
    if write.bytes.len() > multipart::PUT_BYTES_MAX {
        return multipart::put(inner, write).await;
    }
    let request = inner
        .client
        .put_object()
        .bucket(&*inner.bucket)
        .key(inner.key(write.key))
        .body(ByteStream::from(write.bytes.clone()))
        .set_metadata(Some(write.metadata.clone().into_iter().collect()))
        .set_if_none_match(write.if_none_match.clone())
        .set_if_match(write.if_match.clone())
        .customize()
        .interceptor(attempts.clone());
    let written = fence::sign(inner, request)
        .send()
        .await
        .map_err(|error| classify(inner, attempts, error))?;
    etag(inner, write.key, written.e_tag()).map_err(Failure::Final)
}

pub(super) async fn copy(inner: &Inner, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
    let source = format!("{}/{}", inner.bucket, utf8_percent_encode(&inner.key(from), IN_COPY_SOURCE));
    let attempts = Attempts::new(
        inner,
        Request::Copy {
            from: from.to_owned(),
            to: to.to_owned(),
        },
    );
    for attempt in 1..=OWN_ATTEMPTS_MAX {
        if !inner.can_copy() {
            return copy_by_reading(inner, from, source_if_match, to, metadata).await;
        }
        let request = inner
            .client
            .copy_object()
            .bucket(&*inner.bucket)
            .key(inner.key(to))
            .copy_source(&source)
            .copy_source_if_match(quoted(source_if_match))
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(Some(metadata.clone().into_iter().collect()))
            .customize()
            .interceptor(attempts.clone());
        let copied = fence::sign(inner, request).send().await;
        match copied.map_err(|error| classify(inner, &attempts, error)) {
            Ok(copied) => {
                return etag(inner, to, copied.copy_object_result().and_then(|result| result.e_tag()));
            }
            Err(Failure::Undecided(_)) if attempt < OWN_ATTEMPTS_MAX => back_off(inner.backoff_first, attempt).await,
            // A copy that an earlier attempt made may be made again.
            Err(Failure::Expired(_)) => return Err(StoreError::Expired { key: to.to_owned() }),
            Err(failure) => match StoreError::from(failure) {
                error if error.is_not_supported() => inner.cannot_copy(),
                error => return Err(error),
            },
        }
    }
    Err(StoreError::Conflict { key: from.to_owned() })
}

/// A copy on a store without `CopyObject`: the bytes pass through here.
async fn copy_by_reading(inner: &Inner, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
    let _permit = inner.copies.permits.acquire().await.expect("the semaphore is never closed");
    let source = read::get(inner, from, Some(source_if_match), None).await?;
    put(inner, to, source.bytes, PutMode::Replace, metadata).await
}

pub(super) async fn delete(inner: &Inner, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
    // Servers that do not know the condition would remove whatever is there.
    if let Some(expected) = if_match
        && read::head(inner, key).await?.0.meta.etag != *expected
    {
        return Err(StoreError::Conflict { key: key.to_owned() });
    }
    match delete_once(inner, key, if_match.map(quoted)).await {
        // Nothing else is left to such a store than to have compared before.
        Err(error) if if_match.is_some() && error.is_not_supported() => delete_once(inner, key, None).await,
        deleted => deleted,
    }
}

async fn delete_once(inner: &Inner, key: &str, if_match: Option<String>) -> Result<(), StoreError> {
    let has_condition = if_match.is_some();
    let attempts = Attempts::new(inner, Request::Delete(key.to_owned()));
    let request = inner
        .client
        .delete_object()
        .bucket(&*inner.bucket)
        .key(inner.key(key))
        .set_if_match(if_match)
        .customize()
        .interceptor(attempts.clone());
    let deleted = fence::sign(inner, request)
        .send()
        .await
        .map_err(|error| match classify(inner, &attempts, error) {
            // A deletion that an earlier attempt made is successful when it is repeated, unless it has a condition.
            Failure::Expired(_) if !has_condition => StoreError::Expired { key: key.to_owned() },
            failure => failure.into(),
        });
    match deleted {
        // Without a condition, the aim is reached. After a first attempt whose answer was lost, this is that attempt's effect.
        Err(StoreError::NotFound { .. }) if !has_condition || attempts.made() > 1 => Ok(()),
        deleted => deleted.map(drop),
    }
}
