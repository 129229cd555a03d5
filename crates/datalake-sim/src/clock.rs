//! The virtual clock of the processes, which the scheduler sets. The store has a clock of its own.

use std::cell::Cell;

use datalake_store::memory::EPOCH;
use jiff::Timestamp;

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(EPOCH) };
}

/// The time of the process that is being polled.
pub(crate) fn now() -> Timestamp {
    NOW.get()
}

/// Sets the time of the process that is polled next.
pub(crate) fn set(now: Timestamp) {
    NOW.set(now);
}
