//! The families of faults of the random simulation.

/// A family of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultFamily {
    /// A request fails without effect.
    FailBefore,
    /// A request is executed, and its response is lost.
    FailAfter,
    /// Of two concurrent conditional requests, neither is executed (409).
    Conflict,
    /// The client's own retry fails because the first request was executed (412).
    Precondition,
    /// Every request fails for some time (503).
    Outage,
    /// Bodies end early.
    ShortBody,
    /// Responses arrive late.
    Delay,
    /// A request is executed a second time, or after its client gave up.
    Duplicate,
    /// Listings lack the newest keys.
    StaleListing,
    /// Sources return to earlier bytes.
    Aba,
    /// ETags depend only on the bytes.
    ContentEtags,
    /// Clocks of processes are fast or slow.
    ProcessClock,
    /// The store's clock jumps forwards or backwards.
    StoreClock,
    /// The store is full for some time; reads succeed.
    DiskFull,
    /// Processes are killed.
    Death,
    /// Processes are paused for minutes, days or weeks.
    Pause,
}

impl FaultFamily {
    /// Every family.
    pub const ALL: [Self; 16] = [
        Self::FailBefore,
        Self::FailAfter,
        Self::Conflict,
        Self::Precondition,
        Self::Outage,
        Self::ShortBody,
        Self::Delay,
        Self::Duplicate,
        Self::StaleListing,
        Self::Aba,
        Self::ContentEtags,
        Self::ProcessClock,
        Self::StoreClock,
        Self::DiskFull,
        Self::Death,
        Self::Pause,
    ];
}
