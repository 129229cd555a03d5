//! Aborts multipart uploads that were never completed: no listing of objects shows them, and the owner of the bucket pays for their parts.

use aws_sdk_s3::types::MultipartUpload;
use datalake_core::keys;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;

use super::{attempts::Attempts, bucket_client::BucketClient, request::Request, send::send, server_date::ServerDate};
use crate::{bucket::STAGED_AGE_MAX, error::StoreError};

/// The prefixes under which this product writes objects that may be large. The uploads of the owner of the sources must never be aborted.
/// MinIO lists uploads only for a whole key, as the first prefix is; it removes the others itself after a day.
const PREFIXES: [&str; 2] = [keys::OUTPUT, keys::TABLE];

/// One page of a listing for each prefix: a run leaves one upload if it is killed. The next sweep continues.
const UPLOADS_MAX: i32 = 1_000;

const ABORTS_IN_FLIGHT_MAX: usize = 16;

/// Aborts uploads older than [`STAGED_AGE_MAX`] by the server's clock, and returns how many. A store that cannot list uploads, or does not
/// permit it, has its own rules for them: that is a success.
pub(super) async fn sweep(client: &BucketClient) -> Result<u64, StoreError> {
    let mut aborted = 0;
    for prefix in PREFIXES {
        match list(client, prefix).await {
            Ok(uploads) => aborted += abort(client, uploads).await,
            Err(error @ StoreError::Unavailable { .. }) => return Err(error),
            Err(error) => tracing::debug!(%error, "cannot list multipart uploads; a lifecycle rule of the bucket can remove them"),
        }
    }
    Ok(aborted)
}

async fn list(client: &BucketClient, prefix: &str) -> Result<Vec<MultipartUpload>, StoreError> {
    let date = ServerDate::default();
    let attempts = Attempts::new(client, Request::ListUploads(prefix.to_owned()));
    let request = client
        .sdk
        .list_multipart_uploads()
        .bucket(&*client.bucket)
        .prefix(client.key(prefix))
        .max_uploads(UPLOADS_MAX);
    let listed = send!(client, &attempts, request.customize().interceptor(date.clone()))?;
    let oldest = date.latest().and_then(|now| now.checked_sub(STAGED_AGE_MAX).ok());
    let is_old = |upload: &MultipartUpload| {
        let initiated = upload.initiated().and_then(|time| Timestamp::from_second(time.secs()).ok());
        initiated.zip(oldest).is_some_and(|(initiated, oldest)| initiated < oldest)
    };
    let has_prefix = |upload: &MultipartUpload| upload.key().is_some_and(|key| key.starts_with(&client.key(prefix)));
    let mut uploads = listed.uploads.unwrap_or_default();
    uploads.retain(|upload| has_prefix(upload) && is_old(upload));
    Ok(uploads)
}

async fn abort(client: &BucketClient, uploads: Vec<MultipartUpload>) -> u64 {
    let aborts = stream::iter(uploads).map(|upload| async move {
        let attempts = Attempts::new(client, Request::AbortUpload(upload.key.clone().unwrap_or_default()));
        let request = client
            .sdk
            .abort_multipart_upload()
            .bucket(&*client.bucket)
            .set_key(upload.key)
            .set_upload_id(upload.upload_id);
        match send!(client, &attempts, request.customize()).map_err(StoreError::from) {
            Ok(_) => 1,
            Err(error) => {
                // Its writer may have aborted it, or the credentials may not permit it: the next sweep tries again.
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "cannot abort a multipart upload");
                0
            }
        }
    });
    aborts
        .buffer_unordered(ABORTS_IN_FLIGHT_MAX)
        .fold(0, async |sum, aborted| sum + aborted)
        .await
}
