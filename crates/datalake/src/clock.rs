//! The one place that asks the clock.

use jiff::Timestamp;

/// The present time.
#[expect(clippy::disallowed_methods, reason = "this is the place that owns the clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
