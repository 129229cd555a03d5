//! Listings, page by page.

use aws_sdk_s3::{
    operation::list_objects_v2::ListObjectsV2Output,
    types::{EncodingType, Object},
};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use percent_encoding::percent_decode_str;

use super::{
    Inner,
    errors::{Attempts, classify},
    etag, timestamp,
};
use crate::{
    bucket::ObjectMeta,
    counter::{PAGE_OBJECTS, RequestCounter},
    error::StoreError,
};

enum Page {
    First,
    Next(String),
    None,
}

/// The objects under a prefix; a page is asked for when the one before is used up.
pub(super) fn list(inner: Inner, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
    let prefix = inner.key(prefix);
    let start_after = start_after.map(|key| inner.key(key));
    let pages = stream::try_unfold(Page::First, move |page| {
        let (inner, prefix, start_after) = (inner.clone(), prefix.clone(), start_after.clone());
        async move {
            let token = match page {
                Page::First => None,
                Page::Next(token) => Some(token),
                Page::None => return Ok(None),
            };
            let found = fetch(&inner, &prefix, start_after, token).await?;
            let next = match (found.is_truncated(), found.next_continuation_token()) {
                (Some(true), Some(token)) => Page::Next(token.to_owned()),
                _ => Page::None,
            };
            let is_encoded = found.encoding_type() == Some(&EncodingType::Url);
            let objects: Vec<_> = found.contents().iter().map(|object| describe(&inner, object, is_encoded)).collect();
            Ok::<_, StoreError>(Some((stream::iter(objects), next)))
        }
    });
    pages.try_flatten().boxed()
}

async fn fetch(inner: &Inner, prefix: &str, start_after: Option<String>, token: Option<String>) -> Result<ListObjectsV2Output, StoreError> {
    let attempts = Attempts::new(&inner.counter, RequestCounter::count_list);
    inner
        .client
        .list_objects_v2()
        .bucket(&*inner.bucket)
        .prefix(prefix)
        .set_start_after(start_after)
        .set_continuation_token(token)
        .max_keys(i32::try_from(PAGE_OBJECTS).unwrap_or(i32::MAX))
        // XML cannot carry every key.
        .encoding_type(EncodingType::Url)
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await
        .map_err(|error| match StoreError::from(classify(prefix, &inner.bucket, &attempts, error)) {
            // A listing of nothing is empty: what is not found is the bucket.
            StoreError::NotFound { key } => StoreError::Denied {
                key,
                reason: format!("the bucket does not exist, bucket={}", inner.bucket),
                source: None,
            },
            error => error,
        })
}

fn describe(inner: &Inner, object: &Object, is_encoded: bool) -> Result<ObjectMeta, StoreError> {
    let raw = object.key().unwrap_or_default();
    let key = if is_encoded {
        percent_decode_str(&raw.replace('+', " ")).decode_utf8_lossy().into_owned()
    } else {
        raw.to_owned()
    };
    let key = key.strip_prefix(&*inner.prefix).unwrap_or(&key).to_owned();
    let (Some(tag), Some(modified)) = (object.e_tag(), object.last_modified()) else {
        return Err(StoreError::Invalid {
            key,
            reason: "the store lists an object without tag or time".to_owned(),
        });
    };
    let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    let modified = timestamp(&key, modified)?;
    Ok(ObjectMeta {
        etag: etag(tag),
        size,
        modified,
        key,
    })
}
