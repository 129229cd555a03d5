//! Which failures are retried, how often, and after what wait.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::{
    http::{HttpRequest, HttpResponse},
    interceptors::InterceptorContext,
    retry::{ClassifyRetry, RetryAction},
};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use super::{server_date::date_of, tls};

/// The number of attempts of one request by the SDK.
pub(super) const ATTEMPTS_MAX: u32 = 5;

/// The number of attempts after failures that the SDK does not retry: a body that ended early, a write that the server could not decide
/// (409).
pub(super) const OWN_ATTEMPTS_MAX: u32 = 5;

/// The longest wait after a first failure. Waits are random between 0 and 1, 2, 4 and 8 s, so that requests that failed together are not
/// repeated together. A run survives an outage of some 7 s, and a refused connection fails after 15 s at the latest.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// The longest wait after any failure.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// Waits after an attempt, counted from 1, as the SDK does between its own attempts. `first` is the longest wait after the first attempt.
pub(super) async fn back_off(first: Duration, attempt: u32) {
    let longest = first
        .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
        .min(BACKOFF_MAX);
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
}

/// Servers accept a signature for 5 to 15 minutes. An attempt times out much earlier, unless the machine was suspended or its clock was
/// set.
const SIGNATURE_AGE_MAX: SignedDuration = SignedDuration::from_mins(4);

/// When the last attempt of a request was signed in its header and sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    signed_at: Timestamp,
    sent_at: SystemTime,
}

impl Signed {
    /// None for a request that is signed in its query, because each of its attempts has the same signature.
    pub(super) fn of(request: &HttpRequest, sent_at: SystemTime) -> Option<Self> {
        let signed_at = DateTime::strptime("%Y%m%dT%H%M%SZ", request.headers().get("x-amz-date")?).ok()?;
        let signed_at = signed_at.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(Self { signed_at, sent_at })
    }

    /// Marks the response if the signature was outdated when the server received the request, because the machine was suspended
    /// or its clock was wrong. Uses the server's time, or the local time if the response has none.
    pub(super) fn mark(self, response: &mut HttpResponse, received_at: SystemTime) {
        let age = match date_of(response) {
            Some(date) => date.duration_since(self.signed_at).abs(),
            None => received_at
                .duration_since(self.sent_at)
                .unwrap_or_else(|error| error.duration())
                .try_into()
                .unwrap_or(SignedDuration::MAX),
        };
        if age > SIGNATURE_AGE_MAX {
            response.add_extension(Outdated);
        }
    }
}

/// Whether a response is an HTML page.
pub(super) fn is_page(response: &HttpResponse) -> bool {
    let kind = response.headers().get("content-type");
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

/// The mark of a response to a request with an outdated signature.
#[derive(Clone, Copy, Debug)]
struct Outdated;

/// Retries transient failures that the SDK does not: 408, 425 and 429; each 5xx except 501, because proxies have their own; an error in a
/// response with status 200, which S3 sends if a copy or the completion of an upload fails after the response has started; and a rejected
/// signature that was outdated, because each attempt gets a new signature. The SDK retries the last only for some codes, which a response
/// to HEAD does not have, and only within 15 minutes. Does not retry TLS handshakes that fail because of a certificate or the protocol,
/// which the SDK retries.
#[derive(Debug)]
pub(super) struct AlsoTransient;

impl ClassifyRetry for AlsoTransient {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let is_rejected_by_tls = context
            .output_or_error()
            .and_then(|result| result.err()?.as_connector_error())
            .is_some_and(|error| tls::failure(error).is_some());
        if is_rejected_by_tls {
            return RetryAction::RetryForbidden;
        }
        let has_failed = context.output_or_error().is_some_and(|result| result.is_err());
        let status = context.response().map(|response| response.status().as_u16());
        let is_outdated = context
            .response()
            .is_some_and(|response| response.extension::<Outdated>().is_some());
        match status {
            // The endpoint is not an S3 server.
            Some(200..300) if context.response().is_some_and(is_page) => RetryAction::RetryForbidden,
            Some(200..300 | 408 | 425 | 429 | 500 | 502..600) if has_failed => RetryAction::transient_error(),
            Some(400 | 401 | 403) if has_failed && is_outdated => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "AlsoTransient"
    }
}
