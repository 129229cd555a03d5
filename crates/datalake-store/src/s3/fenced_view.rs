//! Makes the views of a bucket whose writes expire.

use std::sync::Once;

use datalake_core::keys;
use jiff::Timestamp;

use super::{attempts::Attempts, bucket_client::BucketClient, fence::Fence, request::Request, send::send, server_date::ServerDate};
use crate::error::StoreError;

/// A client whose writes expire, and the store's time, with which they are signed.
pub(super) async fn fenced(client: &BucketClient) -> Result<(BucketClient, Timestamp), StoreError> {
    static WARNING: Once = Once::new();
    let date = ServerDate::default();
    let attempts = Attempts::new(client, Request::Head(keys::OUTPUT.to_owned()));
    // Any key that a writer may read; whether the object exists does not matter.
    let request = client.sdk.head_object().bucket(&*client.bucket).key(client.key(keys::OUTPUT));
    if let Err(failure) = send!(client, &attempts, request.customize().interceptor(date.clone())) {
        match failure.into() {
            StoreError::NotFound { .. } => {}
            error => return Err(error),
        }
    }
    if let Some(store_time) = date.latest() {
        return Ok((client.with_fence(Some(Fence::new(store_time))), store_time));
    }
    WARNING.call_once(|| {
        tracing::warn!("the store sends no Date: its clock is not known, and writes do not expire; use a store that sends this header");
    });
    let clock = client.sdk.config().time_source().unwrap_or_default();
    let local = Timestamp::try_from(clock.now()).map_err(|error| StoreError::Invalid {
        key: String::new(),
        reason: format!("this machine's clock is outside the calendar ({error}); set it"),
    })?;
    Ok((client.with_fence(None), local))
}
