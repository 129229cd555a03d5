//! Conversions to integers without casts, which lints forbid.

use std::time::Duration;

/// The number of items as a `u64`, which holds every `usize` of the supported platforms.
pub fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

/// A number as a `usize`: exact on 64-bit platforms, else at most `usize::MAX`.
pub fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A duration in whole milliseconds; `u64::MAX` after 584 million years.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_converted() {
        assert_eq!(count(7), 7);
        assert_eq!(to_usize(7), 7);
        assert_eq!(milliseconds(Duration::from_micros(1_999)), 1);
        assert_eq!(milliseconds(Duration::MAX), u64::MAX);
    }
}
