//! Time as an argument: the executable owns the clock.

use std::time::Duration;

use crate::user::Day;
use jiff::Timestamp;

/// Where the present comes from.
#[derive(Clone, Copy, Debug)]
pub struct Clock(fn() -> Timestamp);

impl Clock {
    /// A clock that reads `now`.
    pub fn new(now: fn() -> Timestamp) -> Self {
        Self(now)
    }

    /// The present.
    pub fn now(self) -> Timestamp {
        (self.0)()
    }

    /// The present UTC day.
    pub fn today(self) -> Day {
        Day::of(self.now())
    }
}

/// Whole seconds from one instant to another; 0 where clocks disagree and the first is later.
pub fn whole_seconds(from: Timestamp, to: Timestamp) -> u64 {
    Duration::try_from(to.duration_since(from)).map_or(0, |elapsed| elapsed.as_secs())
}
