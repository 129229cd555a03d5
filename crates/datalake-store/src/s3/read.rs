//! Reading objects and their descriptions.

use std::{collections::HashMap, error::Error, ops::Range};

use aws_sdk_s3::operation::get_object::GetObjectOutput;

use super::{
    Inner,
    errors::{Attempts, classify, nonsense},
    etag, quoted,
    request::Request,
    retry::{OWN_ATTEMPTS_MAX, back_off},
    timestamp,
    write::WRITER,
};
use crate::{
    bucket::{Etag, Head, Metadata, Object, ObjectKind, ObjectMeta, require_readable, slice},
    error::StoreError,
};

/// What became of one GET.
enum Reading {
    Whole(Object),
    /// The answer began well, and its bytes broke off or were too few.
    Broken(Box<dyn Error + Send + Sync>),
}

/// One GET, and another where the bytes broke off. Each is whole by itself and under the caller's condition, so that the bytes of two
/// states never meet.
pub(super) async fn get(inner: &Inner, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
    if let Some(range) = &range
        && range.is_empty()
    {
        // S3 would ignore such a header and send the whole object.
        let reason = format!("the range {}..{} is empty", range.start, range.end);
        return Err(StoreError::Invalid {
            key: key.to_owned(),
            reason,
        });
    }
    let mut attempt = 1;
    loop {
        match get_once(inner, key, if_match, range.as_ref()).await? {
            Reading::Whole(object) => return Ok(object),
            Reading::Broken(source) if attempt >= OWN_ATTEMPTS_MAX => {
                return Err(StoreError::Unavailable {
                    key: key.to_owned(),
                    reason: format!(
                        "cannot read {key}: the store at {} broke off its response: {source}",
                        inner.endpoint
                    ),
                    attempts: attempt,
                    source: Some(source),
                });
            }
            Reading::Broken(_) => back_off(inner.backoff_first, attempt).await,
        }
        attempt += 1;
    }
}

async fn get_once(inner: &Inner, key: &str, if_match: Option<&Etag>, range: Option<&Range<u64>>) -> Result<Reading, StoreError> {
    let attempts = Attempts::new(inner, Request::Get(key.to_owned()));
    let found = inner
        .client
        .get_object()
        .bucket(&*inner.bucket)
        .key(inner.key(key))
        .set_if_match(if_match.map(quoted))
        .set_range(range.map(|range| format!("bytes={}-{}", range.start, range.end - 1)))
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| classify(inner, &attempts, error))?;
    // A server that ignores the condition sends what is there now.
    let etag = etag(inner, key, found.e_tag())?;
    if if_match.is_some_and(|expected| etag != *expected) {
        return Err(StoreError::Conflict { key: key.to_owned() });
    }
    read(inner, key, etag, found, range).await
}

async fn read(inner: &Inner, key: &str, etag: Etag, found: GetObjectOutput, range: Option<&Range<u64>>) -> Result<Reading, StoreError> {
    // Without a length, bytes that are missing could not be told from an end.
    let length = length(inner, key, found.content_length())?;
    require_readable(key, length)?;
    let part = found
        .content_range()
        .map(|part| parse_content_range(inner, key, part))
        .transpose()?;
    let modified = timestamp(inner, key, found.last_modified())?;
    let (metadata, _) = split_metadata(found.metadata());
    let bytes = match found.body.collect().await {
        Ok(body) => body.into_bytes(),
        Err(error) => return Ok(Reading::Broken(error.into())),
    };
    if u64::try_from(bytes.len()) != Ok(length) {
        return Ok(Reading::Broken(format!("{} of {length} bytes came", bytes.len()).into()));
    }
    let (bytes, size) = match (range, part) {
        (None, None) => (bytes, length),
        (Some(range), Some((start, size))) if start == range.start && length == range.end.min(size) - start => (bytes, size),
        // A server may answer a range with the whole.
        (Some(range), None) => (slice(&bytes, range, key)?, length),
        _ => return Err(nonsense(inner, key, "another range came than was asked for")),
    };
    Ok(Reading::Whole(Object {
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

/// Start and whole size of `bytes 5-9/100`. A start past the size is refused.
fn parse_content_range(inner: &Inner, key: &str, text: &str) -> Result<(u64, u64), StoreError> {
    let parse = || {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (start, _) = range.split_once('-')?;
        let (start, size) = (start.parse().ok()?, size.parse().ok()?);
        (start < size).then_some((start, size))
    };
    parse().ok_or_else(|| nonsense(inner, key, "the range of the answer cannot be read"))
}

/// The description, and apart from it the writer's id, which callers do not see.
pub(super) async fn head(inner: &Inner, key: &str) -> Result<(Head, Option<String>), StoreError> {
    let attempts = Attempts::new(inner, Request::Head(key.to_owned()));
    let found = inner
        .client
        .head_object()
        .bucket(&*inner.bucket)
        .key(inner.key(key))
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| classify(inner, &attempts, error))?;
    let size = length(inner, key, found.content_length())?;
    let meta = ObjectMeta {
        key: key.to_owned(),
        etag: etag(inner, key, found.e_tag())?,
        size,
        modified: timestamp(inner, key, found.last_modified())?,
        kind: ObjectKind::Object,
    };
    let (metadata, writer) = split_metadata(found.metadata());
    Ok((Head { meta, metadata }, writer))
}

fn length(inner: &Inner, key: &str, length: Option<i64>) -> Result<u64, StoreError> {
    let length = length.and_then(|length| u64::try_from(length).ok());
    length.ok_or_else(|| nonsense(inner, key, "an object comes without a length"))
}

fn split_metadata(found: Option<&HashMap<String, String>>) -> (Metadata, Option<String>) {
    let mut metadata: Metadata = found
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    let writer = metadata.remove(WRITER);
    (metadata, writer)
}
