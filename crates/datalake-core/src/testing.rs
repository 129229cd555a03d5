//! What several tests measure.

use std::time::{Duration, Instant};

/// No input may take longer.
pub(crate) const LONGEST: Duration = Duration::from_millis(100);

/// The shortest time of three attempts: other processes may interrupt some of them.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing here is asynchronous, so that no test can pause its clock"
)]
pub(crate) fn fastest(mut work: impl FnMut()) -> Duration {
    let attempt = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..3).map(attempt).min().unwrap_or_default()
}
