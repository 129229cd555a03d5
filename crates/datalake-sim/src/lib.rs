//! Runs, readers and the data owner as deterministic actors over a store in memory, with virtual clocks.
//!
//! Owns the scheduler, the invariants, the exhaustive exploration of small scenarios, the random simulation with faults, and the check
//! that both find planted bugs. For development only: nothing that is shipped depends on it.

mod access;
mod clock;
pub mod explorer;
pub mod fate;
mod gate;
mod hints;
mod observed;
pub mod oracle;
pub mod planted;
mod quiet;
pub mod random;
pub mod scenario;
pub mod schedule;
mod sources;
pub mod world;
