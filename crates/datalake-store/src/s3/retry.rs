//! What is worth a new attempt, how often, and how long to wait before it.

use std::time::Duration;

use aws_sdk_s3::config::{
    interceptors::InterceptorContext,
    retry::{ClassifyRetry, RetryAction},
};

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

/// What the SDK does not take for transient, but is: 408, 425 and 429; each 5xx (proxies have their own), but for 501; and an error inside
/// a response of 200, which S3 sends when a copy or the completion of an upload fails after the head of the answer went out.
#[derive(Debug)]
pub(super) struct AlsoTransient;

impl ClassifyRetry for AlsoTransient {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let has_failed = context.output_or_error().is_some_and(|result| result.is_err());
        let status = context.response().map(|response| response.status().as_u16());
        match status {
            Some(200..300 | 408 | 425 | 429 | 500 | 502..600) if has_failed => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "AlsoTransient"
    }
}
