//! The clocks of processes, which the scheduler sets. The store's clock is that of the store in memory.

use std::cell::Cell;

use datalake_store::memory::EPOCH;
use jiff::Timestamp;

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(EPOCH) };
}

/// The clock of the process that is polled.
pub(crate) fn now() -> Timestamp {
    NOW.get()
}

/// Sets the clock of the process that is polled next.
pub(crate) fn set(now: Timestamp) {
    NOW.set(now);
}
