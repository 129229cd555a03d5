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
    errors::{Attempts, classify, nonsense},
    etag,
    request::Request,
    timestamp,
};
use crate::{
    bucket::{ObjectKind, ObjectMeta},
    counter::PAGE_OBJECTS,
    error::StoreError,
    spelling::spelled,
};

/// Where a listing stands.
struct Cursor {
    page: Page,
    /// The bytes of the greatest key so far, in the bucket; before the first one, what the listing starts after.
    last: Vec<u8>,
}

enum Page {
    First,
    Next(String),
    End,
}

/// The objects under a prefix; a page is asked for when the one before is used up.
pub(super) fn list(inner: Inner, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
    let prefix = prefix.to_owned();
    let start_after = start_after.map(|key| inner.key(key));
    let start = Cursor {
        page: Page::First,
        last: start_after.clone().unwrap_or_default().into_bytes(),
    };
    let pages = stream::try_unfold(start, move |mut cursor| {
        let (inner, prefix, start_after) = (inner.clone(), prefix.clone(), start_after.clone());
        async move {
            let token = match cursor.page {
                Page::First => None,
                Page::Next(token) => Some(token),
                Page::End => return Ok(None),
            };
            let found = fetch(&inner, &prefix, start_after, token).await?;
            // To take a listing for whole that is not would pass for a mass deletion.
            cursor.page = match (found.is_truncated(), found.next_continuation_token()) {
                (Some(true), Some(token)) => Page::Next(token.to_owned()),
                (Some(true), None) => return Err(nonsense(&inner, &prefix, "there is more to list, but no token to go on with")),
                (Some(false), _) => Page::End,
                (None, _) => return Err(nonsense(&inner, &prefix, "a listing does not say whether it is the whole")),
            };
            let count = found.key_count().and_then(|count| usize::try_from(count).ok());
            if count.is_some_and(|count| count != found.contents().len()) {
                return Err(nonsense(&inner, &prefix, "a listing holds another number of keys than it says"));
            }
            let is_encoded = found.encoding_type() == Some(&EncodingType::Url);
            let mut objects = Vec::with_capacity(found.contents().len());
            for object in found.contents() {
                let described = describe(&inner, object, is_encoded, &mut cursor.last);
                let is_end = described.is_err();
                objects.push(described);
                if is_end {
                    break;
                }
            }
            Ok::<_, StoreError>(Some((stream::iter(objects), cursor)))
        }
    });
    pages.try_flatten().boxed()
}

async fn fetch(inner: &Inner, prefix: &str, start_after: Option<String>, token: Option<String>) -> Result<ListObjectsV2Output, StoreError> {
    let attempts = Attempts::new(inner, Request::List(prefix.to_owned()));
    let listed = inner
        .client
        .list_objects_v2()
        .bucket(&*inner.bucket)
        .prefix(inner.key(prefix))
        .set_start_after(start_after)
        .set_continuation_token(token)
        .max_keys(i32::try_from(PAGE_OBJECTS).unwrap_or(i32::MAX))
        // XML cannot carry every key.
        .encoding_type(EncodingType::Url)
        .customize()
        .interceptor(attempts.clone())
        .send()
        .await;
    listed.map_err(|error| match StoreError::from(classify(inner, &attempts, error)) {
        // A listing of nothing is empty: what is not found is the bucket, also where the server does not say so by its code.
        StoreError::NotFound { key } => StoreError::Denied {
            key,
            reason: inner.missing_bucket(),
            source: None,
        },
        error => error,
    })
}

/// The object, whose key must be greater than `last` and becomes it. The run's merge of two streams relies on the order.
fn describe(inner: &Inner, object: &Object, is_encoded: bool, last: &mut Vec<u8>) -> Result<ObjectMeta, StoreError> {
    let raw = object
        .key()
        .ok_or_else(|| nonsense(inner, "", "an object is listed without a key"))?;
    let bytes: Vec<u8> = if is_encoded {
        percent_decode_str(&raw.replace('+', " ")).collect()
    } else {
        raw.as_bytes().to_vec()
    };
    let whole = spelled(&bytes);
    // A server that does not encode writes this for what XML cannot carry: where the key has its place is not known then.
    if !is_encoded && whole.contains(char::REPLACEMENT_CHARACTER) {
        return described(inner, object, &whole);
    }
    if bytes <= *last {
        let after = spelled(last);
        return Err(nonsense(
            inner,
            &whole,
            &format!("its listing is not in the order of the keys' bytes, after={after:?}"),
        ));
    }
    *last = bytes;
    described(inner, object, &whole)
}

fn described(inner: &Inner, object: &Object, whole: &str) -> Result<ObjectMeta, StoreError> {
    let key = whole
        .strip_prefix(&*inner.prefix)
        .ok_or_else(|| nonsense(inner, whole, "it lists a key without the prefix asked for"))?
        .to_owned();
    let (Some(modified), Some(size)) = (object.last_modified(), object.size()) else {
        return Err(nonsense(inner, &key, "an object is listed without its time or size"));
    };
    let size = u64::try_from(size).map_err(|_| nonsense(inner, &key, "an object's size is negative"))?;
    Ok(ObjectMeta {
        etag: etag(inner, &key, object.e_tag())?,
        size,
        modified: timestamp(inner, &key, Some(modified))?,
        kind: ObjectKind::Object,
        key,
    })
}
