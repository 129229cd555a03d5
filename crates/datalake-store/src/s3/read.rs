//! Received objects and their descriptions.

use std::{collections::HashMap, error::Error, ops::Range};

use aws_sdk_s3::operation::get_object::GetObjectOutput;

use super::{
    attempts::Attempts,
    bucket_client::BucketClient,
    put_request::WRITER_METADATA,
    request::Request,
    response::{etag, length, quoted, timestamp, unexpected},
    retry::{OWN_ATTEMPTS_MAX, back_off},
    send::send,
};
use crate::{
    bucket::{Etag, Head, Metadata, Object, ObjectKind, ObjectMeta, require_readable, slice},
    error::StoreError,
};

/// The result of one GET.
enum Received {
    Complete(Object),
    /// The response was successful, but its bytes ended early.
    Truncated(Box<dyn Error + Send + Sync>),
}

/// Reads an object, and reads it again if the bytes end early. Each GET reads all bytes under the caller's condition, so that bytes of two
/// states are never combined.
pub(super) async fn get(
    client: &BucketClient,
    key: &str,
    if_match: Option<&Etag>,
    range: Option<Range<u64>>,
) -> Result<Object, StoreError> {
    if let Some(range) = &range
        && range.is_empty()
    {
        // S3 ignores such a header and returns the whole object.
        let reason = format!("the range {}..{} is empty", range.start, range.end);
        return Err(StoreError::Invalid {
            key: key.to_owned(),
            reason,
        });
    }
    let mut attempt = 1;
    loop {
        match get_once(client, key, if_match, range.as_ref()).await? {
            Received::Complete(object) => return Ok(object),
            Received::Truncated(source) if attempt >= OWN_ATTEMPTS_MAX => {
                return Err(StoreError::Unavailable {
                    key: key.to_owned(),
                    reason: format!(
                        "cannot read {key}: the store at {} ended its response early: {source}",
                        client.endpoint
                    ),
                    attempts: attempt,
                    cause: Some(source),
                });
            }
            Received::Truncated(_) => back_off(client.backoff_first, attempt).await,
        }
        attempt += 1;
    }
}

async fn get_once(client: &BucketClient, key: &str, if_match: Option<&Etag>, range: Option<&Range<u64>>) -> Result<Received, StoreError> {
    let attempts = Attempts::new(client, Request::Get(key.to_owned()));
    let request = client
        .sdk
        .get_object()
        .bucket(&*client.bucket)
        .key(client.key(key))
        .set_if_match(if_match.map(quoted))
        .set_range(range.map(|range| format!("bytes={}-{}", range.start, range.end - 1)));
    let found = send!(client, &attempts, request.customize())?;
    // A server that ignores the condition returns the current object.
    let etag = etag(client, key, found.e_tag())?;
    if if_match.is_some_and(|expected| etag != *expected) {
        return Err(StoreError::Conflict { key: key.to_owned() });
    }
    read(client, key, etag, found, range).await
}

async fn read(
    client: &BucketClient,
    key: &str,
    etag: Etag,
    found: GetObjectOutput,
    range: Option<&Range<u64>>,
) -> Result<Received, StoreError> {
    let length = length(client, key, found.content_length())?;
    require_readable(key, length)?;
    let part = found
        .content_range()
        .map(|part| parse_content_range(client, key, part))
        .transpose()?;
    let modified = timestamp(client, key, found.last_modified())?;
    let (metadata, _) = split_metadata(found.metadata());
    let bytes = match found.body.collect().await {
        Ok(body) => body.into_bytes(),
        Err(error) => return Ok(Received::Truncated(error.into())),
    };
    if u64::try_from(bytes.len()) != Ok(length) {
        return Ok(Received::Truncated(format!("received {} of {length} bytes", bytes.len()).into()));
    }
    let (bytes, size) = match (range, part) {
        (None, None) => (bytes, length),
        (Some(range), Some((start, size))) if start == range.start && length == range.end.min(size) - start => (bytes, size),
        // A server may return the whole object for a range.
        (Some(range), None) => (slice(&bytes, range, key)?, length),
        _ => return Err(unexpected(client, key, "the response has another range than the request")),
    };
    Ok(Received::Complete(Object {
        meta: ObjectMeta {
            key: key.to_owned(),
            etag,
            size,
            modified,
            kind: ObjectKind::Object,
        },
        metadata,
        bytes,
    }))
}

/// The start and the whole size in `bytes 5-9/100`. A start after the end is an error.
fn parse_content_range(client: &BucketClient, key: &str, text: &str) -> Result<(u64, u64), StoreError> {
    let parse = || {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (start, _) = range.split_once('-')?;
        let (start, size) = (start.parse().ok()?, size.parse().ok()?);
        (start < size).then_some((start, size))
    };
    parse().ok_or_else(|| unexpected(client, key, "the range of the response is not valid"))
}

/// The description and, separately, the writer ID, which callers do not see.
pub(super) async fn head(client: &BucketClient, key: &str) -> Result<(Head, Option<String>), StoreError> {
    let attempts = Attempts::new(client, Request::Head(key.to_owned()));
    let request = client.sdk.head_object().bucket(&*client.bucket).key(client.key(key));
    let found = send!(client, &attempts, request.customize())?;
    let size = length(client, key, found.content_length())?;
    let meta = ObjectMeta {
        key: key.to_owned(),
        etag: etag(client, key, found.e_tag())?,
        size,
        modified: timestamp(client, key, found.last_modified())?,
        kind: ObjectKind::Object,
    };
    let (metadata, writer) = split_metadata(found.metadata());
    Ok((Head { meta, metadata }, writer))
}

fn split_metadata(found: Option<&HashMap<String, String>>) -> (Metadata, Option<String>) {
    let mut metadata: Metadata = found
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let writer = metadata.remove(WRITER_METADATA);
    (metadata, writer)
}
