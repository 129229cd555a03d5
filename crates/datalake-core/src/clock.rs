//! Time as an argument: the executable owns the clock and passes it as a function.

use std::time::Duration;

use jiff::Timestamp;

use crate::calendar::Day;

/// The clock of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock(fn() -> Timestamp);

impl Clock {
    /// A clock that reads `now`.
    pub fn new(now: fn() -> Timestamp) -> Self {
        Self(now)
    }

    /// The current time.
    pub fn now(self) -> Timestamp {
        (self.0)()
    }

    /// The current UTC day.
    pub fn today(self) -> Day {
        Day::of(self.now())
    }
}

/// Whole seconds from one instant to another; 0 if the first is later because clocks differ.
pub fn whole_seconds(from: Timestamp, to: Timestamp) -> u64 {
    Duration::try_from(to.duration_since(from)).map_or(0, |elapsed| elapsed.as_secs())
}
