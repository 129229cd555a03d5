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
    attempts::Attempts,
    bucket_client::BucketClient,
    request::Request,
    response::{etag, timestamp, unexpected},
    send::send,
};
use crate::{
    bucket::{ObjectKind, ObjectMeta},
    error::StoreError,
    key_encoding::key_text,
    request_counter::PAGE_OBJECTS,
};

/// The state of a listing.
struct Progress {
    page: Page,
    /// The bytes of the greatest key in the bucket so far. At first, the key after which the listing starts.
    last: Vec<u8>,
}

enum Page {
    First,
    Next(String),
    End,
}

/// The objects under a prefix. A page is requested when the stream has returned all objects of the page before.
pub(super) fn list(client: BucketClient, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
    let prefix = prefix.to_owned();
    let start_after = start_after.map(|key| client.key(key));
    let start = Progress {
        page: Page::First,
        last: start_after.clone().unwrap_or_default().into_bytes(),
    };
    let pages = stream::try_unfold(start, move |mut progress| {
        let (client, prefix, start_after) = (client.clone(), prefix.clone(), start_after.clone());
        async move {
            let token = match progress.page {
                Page::First => None,
                Page::Next(token) => Some(token),
                Page::End => return Ok(None),
            };
            let found = fetch(&client, &prefix, start_after, token).await?;
            // An incomplete listing that is taken for a complete one looks like a mass deletion.
            progress.page = match (found.is_truncated(), found.next_continuation_token()) {
                (Some(true), Some(token)) => Page::Next(token.to_owned()),
                (Some(true), None) => {
                    return Err(unexpected(
                        &client,
                        &prefix,
                        "a listing is truncated, but has no continuation token",
                    ));
                }
                (Some(false), _) => Page::End,
                (None, _) => return Err(unexpected(&client, &prefix, "a listing does not say whether it is truncated")),
            };
            let count = found.key_count().and_then(|count| usize::try_from(count).ok());
            if count.is_some_and(|count| count != found.contents().len()) {
                return Err(unexpected(&client, &prefix, "a listing has another number of keys than it says"));
            }
            let is_encoded = found.encoding_type() == Some(&EncodingType::Url);
            let mut objects = Vec::with_capacity(found.contents().len());
            for object in found.contents() {
                let described = describe(&client, object, is_encoded, &mut progress.last);
                let is_end = described.is_err();
                objects.push(described);
                if is_end {
                    break;
                }
            }
            Ok::<_, StoreError>(Some((stream::iter(objects), progress)))
        }
    });
    pages.try_flatten().boxed()
}

async fn fetch(
    client: &BucketClient,
    prefix: &str,
    start_after: Option<String>,
    token: Option<String>,
) -> Result<ListObjectsV2Output, StoreError> {
    let attempts = Attempts::new(client, Request::List(prefix.to_owned()));
    let request = client
        .sdk
        .list_objects_v2()
        .bucket(&*client.bucket)
        .prefix(client.key(prefix))
        .set_start_after(start_after)
        .set_continuation_token(token)
        .max_keys(i32::try_from(PAGE_OBJECTS).unwrap_or(i32::MAX))
        // XML cannot contain every key.
        .encoding_type(EncodingType::Url);
    send!(client, &attempts, request.customize()).map_err(|failure| match StoreError::from(failure) {
        // A prefix without objects has an empty listing. So the bucket is missing, even if the error code does not say so.
        StoreError::NotFound { key } => StoreError::Denied {
            key,
            reason: client.missing_bucket(),
            cause: None,
        },
        error => error,
    })
}

/// The listed object. Its key must be greater than `last`, and replaces it: a run merges two streams, and relies on the order.
fn describe(client: &BucketClient, object: &Object, is_encoded: bool, last: &mut Vec<u8>) -> Result<ObjectMeta, StoreError> {
    let raw = object.key().ok_or_else(|| unexpected(client, "", "a listed object has no key"))?;
    let bytes: Vec<u8> = if is_encoded {
        percent_decode_str(&raw.replace('+', " ")).collect()
    } else {
        raw.as_bytes().to_vec()
    };
    let key = key_text(&bytes);
    // A server that does not encode keys writes this character for those that XML cannot contain, so the order of such a key is unknown.
    if !is_encoded && key.contains(char::REPLACEMENT_CHARACTER) {
        return object_meta(client, object, &key);
    }
    if bytes <= *last {
        let after = key_text(last);
        return Err(unexpected(
            client,
            &key,
            &format!("a listing is not in the byte order of the keys: this key comes after {after:?}"),
        ));
    }
    *last = bytes;
    object_meta(client, object, &key)
}

fn object_meta(client: &BucketClient, object: &Object, bucket_key: &str) -> Result<ObjectMeta, StoreError> {
    let key = bucket_key
        .strip_prefix(&*client.prefix)
        .ok_or_else(|| unexpected(client, bucket_key, "a listed key does not have the requested prefix"))?
        .to_owned();
    let (Some(modified), Some(size)) = (object.last_modified(), object.size()) else {
        return Err(unexpected(client, &key, "a listed object has no modification time or size"));
    };
    let size = u64::try_from(size).map_err(|_| unexpected(client, &key, "a listed object has a negative size"))?;
    Ok(ObjectMeta {
        etag: etag(client, &key, object.e_tag())?,
        size,
        modified: timestamp(client, &key, Some(modified))?,
        kind: ObjectKind::Object,
        key,
    })
}
