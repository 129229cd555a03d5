//! Writes that expire by the store's clock, because their signatures do.
//!
//! A write through a fence is signed in its query, as a presigned URL is, with the fence's time as the time of the signature and
//! [`FENCE_LIFETIME`] as its expiry. The server refuses the request afterwards, however long this process was paused before it sent it.
//! Each attempt of a request has the same signature. The time is the server's own, from the `Date` of a response: the clock of this
//! machine, which may be wrong or be set at any time, is not involved.

use std::{
    sync::{Arc, Once},
    time::SystemTime,
};

use aws_runtime::{
    auth::{HttpSignatureType, PayloadSigningOverride, SigV4OperationSigningConfig},
    invocation_id::InvocationIdInterceptor,
    request_info::RequestInfoInterceptor,
    service_clock_skew::ServiceClockSkewInterceptor,
};
use aws_sdk_s3::{
    client::customize::CustomizableOperation,
    config::{
        Builder, ConfigBag, Intercept, RequestChecksumCalculation, RuntimeComponents, StalledStreamProtectionConfig,
        http::HttpResponse,
        interceptors::{
            BeforeDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
        },
    },
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
};
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::interceptors::disable_interceptor;
use datalake_core::keys;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::{
    Inner,
    errors::{Attempts, classify},
    request::Request,
};
use crate::{bucket::FENCE_LIFETIME, error::StoreError};

/// Codes that some servers send for a signature that has expired, whatever the status. `ExpiredToken` is Ceph's. Where the credentials have
/// indeed expired, the next fence cannot be made, and that failure is final.
const EXPIRED_CODES: &[&str] = &["ExpiredToken", "TokenRefreshRequired", "ExpiredRequest", "RequestExpired"];

/// When the writes of a view were signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence {
    signed_at: Timestamp,
}

impl Fence {
    pub(super) fn new(signed_at: Timestamp) -> Self {
        Self { signed_at }
    }

    /// Whether a refusal means that the signature has expired. Servers do not agree on a code for it, and most use the one of denied access:
    /// their message and their clock distinguish the two.
    pub(super) fn has_expired(self, response: &HttpResponse, code: Option<&str>, message: Option<&str>) -> bool {
        if code.is_some_and(|code| EXPIRED_CODES.contains(&code)) {
            return true;
        }
        let says_so = message.is_some_and(|message| message.to_ascii_lowercase().contains("expired"));
        let is_past = date_of(response).is_some_and(|now| now.duration_since(self.signed_at) > FENCE_LIFETIME);
        matches!(response.status().as_u16(), 400 | 401 | 403) && (says_so || is_past)
    }
}

/// Signs the operation with the time of the fence. Without a fence, it is signed when it is sent.
pub(super) fn sign<T, E, B>(inner: &Inner, operation: CustomizableOperation<T, E, B>) -> CustomizableOperation<T, E, B> {
    let Some(fence) = inner.fence else { return operation };
    let config = Builder::new()
        .time_source(StaticTimeSource::new(SystemTime::from(fence.signed_at)))
        // It would compare that time with itself.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // As in a presigned URL: a checksum in a trailer would be another kind of signature.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    operation.config_override(config).interceptor(fence)
}

impl Intercept for Fence {
    fn name(&self) -> &'static str {
        "Fence"
    }

    fn modify_before_serialization(
        &self,
        _: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        const CAUSE: &str = "the signature is the same for each attempt";
        let state = config.interceptor_state();
        state.store_put(disable_interceptor::<InvocationIdInterceptor>(CAUSE));
        state.store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE));
        // It would take the age of the fence for the skew of this machine's clock, and sign later requests of other operations by it.
        state.store_put(disable_interceptor::<ServiceClockSkewInterceptor>(CAUSE));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The SDK leaves this one out of signatures in the query, and servers refuse such headers that are not signed.
        context.request_mut().headers_mut().remove("x-amz-user-agent");
        let mut signing = config
            .load::<SigV4OperationSigningConfig>()
            .cloned()
            .ok_or("requests to S3 are signed with version 4")?;
        signing.signing_options.signature_type = HttpSignatureType::HttpRequestQueryParams;
        signing.signing_options.expires_in = Some(FENCE_LIFETIME.unsigned_abs());
        let state = config.interceptor_state();
        state.store_put(signing);
        state.store_put(PayloadSigningOverride::unsigned_payload());
        Ok(())
    }
}

/// The store's time, and the inner part of a view whose writes are signed with it.
pub(super) async fn fenced(inner: &Inner) -> Result<(Inner, Timestamp), StoreError> {
    static WARNING: Once = Once::new();
    let dates = Dates::default();
    let attempts = Attempts::new(inner, Request::Head(keys::OUTPUT.to_owned()));
    let found = inner
        .client
        .head_object()
        .bucket(&*inner.bucket)
        // Any key that a writer may read. Whether there is an object does not matter.
        .key(inner.key(keys::OUTPUT))
        .customize()
        .interceptor(attempts.clone())
        .interceptor(dates.clone())
        .send()
        .await;
    if let Err(error) = found {
        match classify(inner, &attempts, error).into() {
            StoreError::NotFound { .. } => {}
            error => return Err(error),
        }
    }
    if let Some(store_time) = dates.newest() {
        let view = Inner {
            fence: Some(Fence::new(store_time)),
            ..inner.clone()
        };
        return Ok((view, store_time));
    }
    WARNING.call_once(|| {
        tracing::warn!("the store sends no Date: its clock is not known, and writes do not expire; use a store that sends this header");
    });
    let clock = inner.client.config().time_source().unwrap_or_default();
    let local = Timestamp::try_from(clock.now()).map_err(|error| StoreError::Invalid {
        key: String::new(),
        reason: format!("this machine's clock is outside the calendar ({error}); set it"),
    })?;
    let view = Inner {
        fence: None,
        ..inner.clone()
    };
    Ok((view, local))
}

/// The time of the server at the last response.
#[derive(Clone, Debug, Default)]
pub(super) struct Dates(Arc<Mutex<Option<Timestamp>>>);

impl Dates {
    pub(super) fn newest(&self) -> Option<Timestamp> {
        *self.0.lock()
    }
}

impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "Dates"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock() = date_of(context.response());
        Ok(())
    }
}

/// The server's time of a response.
pub(super) fn date_of(response: &HttpResponse) -> Option<Timestamp> {
    let date = DateTime::from_str(response.headers().get("date")?, DateTimeFormat::HttpDate).ok()?;
    Timestamp::from_second(date.secs()).ok()
}
