//! Writes that expire by the store's clock, because their signatures do.
//!
//! A write through a fence is signed in its query, as a presigned URL is, with the fence's time as the time of the signature and
//! [`FENCE_LIFETIME`] as its expiry. The server refuses the request afterwards, however long this process was paused before it sent it.
//! Each attempt of a request has the same signature. The time is the server's own, from the `Date` of a response: the clock of this
//! machine, which may be wrong or be set at any time, is not involved.

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
pub(super) fn sign<T, E, B>(fence: Option<Fence>, operation: CustomizableOperation<T, E, B>) -> CustomizableOperation<T, E, B> {
    let Some(fence) = fence else { return operation };
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
