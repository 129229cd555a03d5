//! Removes the parts of uploads that were never completed: no listing shows them, and they are paid for.

use aws_sdk_s3::types::MultipartUpload;
use datalake_core::keys;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::{
    Inner,
    errors::{Attempts, classify},
    fence::Dates,
    request::Request,
};
use crate::{bucket::STAGED_AGE_MAX, error::StoreError};

/// Where this product writes objects that may be large. It must never abort the uploads of the owner of the sources. MinIO lists the
/// uploads of a whole key only, which the first one is; the others it removes itself after a day.
const PREFIXES: [&str; 2] = [keys::OUTPUT, keys::TABLE];

/// One page of a listing for each prefix: a run leaves one upload behind if it is killed. The next sweep continues.
const UPLOADS_MAX: i32 = 1_000;

const ABORTS_IN_FLIGHT_MAX: usize = 16;

/// Aborts uploads older than [`STAGED_AGE_MAX`] by the server's clock, and returns how many. A store that cannot list uploads, or does not
/// permit it, has its own rules for them: that is a success.
pub(super) async fn sweep(inner: &Inner) -> Result<u64, StoreError> {
    let mut aborted = 0;
    for prefix in PREFIXES {
        match list(inner, prefix).await {
            Ok(uploads) => aborted += abort(inner, uploads).await,
            Err(error @ StoreError::Unavailable { .. }) => return Err(error),
            Err(error) => tracing::debug!(%error, "cannot list uploads in parts; a lifecycle rule of the bucket can remove them"),
        }
    }
    Ok(aborted)
}

async fn list(inner: &Inner, prefix: &str) -> Result<Vec<MultipartUpload>, StoreError> {
    let dates = Dates::default();
    let attempts = Attempts::new(inner, Request::ListUploads(prefix.to_owned()));
    let listed = inner
        .client
        .list_multipart_uploads()
        .bucket(&*inner.bucket)
        .prefix(inner.key(prefix))
        .max_uploads(UPLOADS_MAX)
        .customize()
        .interceptor(attempts.clone())
        .interceptor(dates.clone())
        .send()
        .await
        .map_err(|error| classify(inner, &attempts, error))?;
    let oldest = dates.newest().and_then(|now| now.checked_sub(STAGED_AGE_MAX).ok());
    let is_old = |upload: &MultipartUpload| {
        let initiated = upload.initiated().and_then(|time| Timestamp::from_second(time.secs()).ok());
        initiated.zip(oldest).is_some_and(|(initiated, oldest)| initiated < oldest)
    };
    let lists_prefix = |upload: &MultipartUpload| upload.key().is_some_and(|key| key.starts_with(&inner.key(prefix)));
    let mut uploads = listed.uploads.unwrap_or_default();
    uploads.retain(|upload| lists_prefix(upload) && is_old(upload));
    Ok(uploads)
}

async fn abort(inner: &Inner, uploads: Vec<MultipartUpload>) -> u64 {
    let aborts = stream::iter(uploads).map(|upload| async move {
        let attempts = Attempts::new(inner, Request::AbortUpload(upload.key.clone().unwrap_or_default()));
        let aborted = inner
            .client
            .abort_multipart_upload()
            .bucket(&*inner.bucket)
            .set_key(upload.key)
            .set_upload_id(upload.upload_id)
            .customize()
            .interceptor(attempts)
            .send()
            .await;
        match aborted {
            Ok(_) => 1,
            Err(error) => {
                // Its writer may have aborted it, or the credentials may not permit it: the next sweep tries again.
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "cannot abort an upload in parts");
                0
            }
        }
    });
    aborts
        .buffer_unordered(ABORTS_IN_FLIGHT_MAX)
        .fold(0, async |sum, aborted| sum + aborted)
        .await
}
