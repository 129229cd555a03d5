//! Writes that expire by the store's clock, because their signatures do.
//!
//! A write through a fence is signed in its query, like a presigned URL, with the fence's time as the signing time and [`FENCE_LIFETIME`]
//! as the expiry. After the expiry the server rejects the request, however long this process was paused before sending it. All attempts of
//! a request have the same signature. The time comes from the `Date` of a response, so the clock of this machine, which may be wrong,
//! is not involved.

use std::time::SystemTime;

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
        interceptors::{BeforeSerializationInterceptorContextMut, BeforeTransmitInterceptorContextMut},
    },
    error::BoxError,
};
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::interceptors::disable_interceptor;
use jiff::Timestamp;

use super::server_date::date_of;
use crate::bucket::FENCE_LIFETIME;

/// Codes that some servers send for an expired signature, with any status. `ExpiredToken` is Ceph's. If the credentials have expired
/// instead, the next fence cannot be made, and that failure is final.
const EXPIRED_CODES: &[&str] = &["ExpiredToken", "TokenRefreshRequired", "ExpiredRequest", "RequestExpired"];

/// The signing time of the writes of a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fence {
    signed_at: Timestamp,
}

impl Fence {
    pub(super) fn new(signed_at: Timestamp) -> Self {
        Self { signed_at }
    }

    /// Whether a rejection means that the signature has expired. Servers use different codes for it, most often the one for denied access:
    /// the message and the server's time distinguish the two.
    pub(super) fn has_expired(self, response: &HttpResponse, code: Option<&str>, message: Option<&str>) -> bool {
        if code.is_some_and(|code| EXPIRED_CODES.contains(&code)) {
            return true;
        }
        let says_so = message.is_some_and(|message| message.to_ascii_lowercase().contains("expired"));
        let is_past = date_of(response).is_some_and(|now| now.duration_since(self.signed_at) > FENCE_LIFETIME);
        matches!(response.status().as_u16(), 400 | 401 | 403) && (says_so || is_past)
    }
}

/// Signs an operation with the time of the fence. Without a fence, the SDK signs it when it is sent.
pub(super) fn sign<T, E, B>(fence: Option<Fence>, operation: CustomizableOperation<T, E, B>) -> CustomizableOperation<T, E, B> {
    let Some(fence) = fence else { return operation };
    let config = Builder::new()
        .time_source(StaticTimeSource::new(SystemTime::from(fence.signed_at)))
        // It would compare the signing time with itself.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // A presigned URL has no checksum in a trailer, which needs another kind of signature.
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
        // It would interpret the age of the fence as clock skew, and apply it to later requests.
        state.store_put(disable_interceptor::<ServiceClockSkewInterceptor>(CAUSE));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The SDK does not sign this header in signatures in the query, and servers reject unsigned headers with this prefix.
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
