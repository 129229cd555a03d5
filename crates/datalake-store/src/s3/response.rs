//! Fields of responses that the product relies on.

use aws_sdk_s3::primitives::DateTime;
use jiff::Timestamp;

use super::bucket_client::BucketClient;
use crate::{bucket::Etag, error::StoreError};

/// The ETag of a response. An ETag that is missing or empty is an error, because changes of the object could not be detected.
pub(super) fn etag(client: &BucketClient, key: &str, text: Option<&str>) -> Result<Etag, StoreError> {
    let etag = text.map(Etag::new).filter(|etag| !etag.as_str().is_empty());
    etag.ok_or_else(|| {
        let found = if text.is_some() { "an empty ETag" } else { "no ETag" };
        unexpected(client, key, &format!("the object has {found}; upload the object again through S3"))
    })
}

/// The ETag as a condition's header contains it.
pub(super) fn quoted(etag: &Etag) -> String {
    format!("\"{etag}\"")
}

/// The time of an object, in whole seconds: some servers list milliseconds, but the headers of an object never have them, and both must be equal.
pub(super) fn timestamp(client: &BucketClient, key: &str, time: Option<&DateTime>) -> Result<Timestamp, StoreError> {
    let time = time.ok_or_else(|| unexpected(client, key, "an object has no modification time"))?;
    Timestamp::from_second(time.secs()).map_err(|_| unexpected(client, key, "the modification time of an object is outside the calendar"))
}

/// The size of an object or of a range. Without it, missing bytes could not be distinguished from the end.
pub(super) fn length(client: &BucketClient, key: &str, length: Option<i64>) -> Result<u64, StoreError> {
    let length = length.and_then(|length| u64::try_from(length).ok());
    length.ok_or_else(|| unexpected(client, key, "an object has no length"))
}

/// The error for a response that S3 never sends.
pub(super) fn unexpected(client: &BucketClient, key: &str, what: &str) -> StoreError {
    StoreError::Invalid {
        key: key.to_owned(),
        reason: format!(
            "{} does not respond as S3 does: {what}; check that it is the endpoint of an S3 server",
            client.endpoint
        ),
    }
}
