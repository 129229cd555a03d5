//! What is worth a new attempt, how often, and how long to wait before it.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::{
    http::{HttpRequest, HttpResponse},
    interceptors::InterceptorContext,
    retry::{ClassifyRetry, RetryAction},
};
use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use super::{server_date::date_of, tls};

/// Attempts of one request.
pub(super) const ATTEMPTS_MAX: u32 = 5;

/// Attempts of what only this crate sees fail: a body that broke off, a write that the server could not decide (409).
pub(super) const OWN_ATTEMPTS_MAX: u32 = 5;

/// The longest wait after a first failure. Waits are random between nothing and 1, 2, 4, 8 s, so that those who failed together do not
/// come back together: a store that is gone for some 7 s is survived, a refused connection fails after 15 s at the latest.
pub(super) const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// The longest wait after any failure.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(8);

/// Waits after the attempt of this number, counted from 1, as the SDK does between its own. `first` is the longest first wait.
pub(super) async fn back_off(first: Duration, attempt: u32) {
    let longest = first
        .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
        .min(BACKOFF_MAX);
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
}

/// Servers accept a signature for 5 to 15 minutes. An attempt is given up much earlier, unless the machine was suspended or its clock was set.
const SIGNATURE_AGE_MAX: SignedDuration = SignedDuration::from_mins(4);

/// When the last attempt of an operation was signed in its header and sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed {
    signed_at: Timestamp,
    sent_at: SystemTime,
}

impl Signed {
    /// None for a request that is signed in its query: each attempt of it has the same signature.
    pub(super) fn of(request: &HttpRequest, sent_at: SystemTime) -> Option<Self> {
        let signed_at = DateTime::strptime("%Y%m%dT%H%M%SZ", request.headers().get("x-amz-date")?).ok()?;
        let signed_at = signed_at.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(Self { signed_at, sent_at })
    }

    /// Marks the response to a request whose signature was out of date when the server read it: the machine was suspended in between, or the
    /// request was signed by a clock that was wrong. The server's time decides, and this machine's where the response has none.
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

/// Whether a response is a page for browsers.
pub(super) fn is_page(response: &HttpResponse) -> bool {
    let kind = response.headers().get("content-type");
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
}

/// The mark.
#[derive(Clone, Copy, Debug)]
struct Outdated;

/// What the SDK does not take for transient, but is: 408, 425 and 429; each 5xx (proxies have their own), but for 501; an error inside a
/// response of 200, which S3 sends when a copy or the completion of an upload fails after the head of the answer went out; and a rejected
/// signature that was out of date, since each attempt is signed by itself. The SDK repeats the last only with some codes, which a HEAD has
/// not, and only if less than 15 minutes have passed. What the SDK takes for transient, but is not, is a TLS handshake that fails because of a certificate or the protocol.
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
            // What is behind the endpoint is no S3 server.
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
