//! Deterministic simulation of runs, readers and the data owner over an in-memory store with virtual clocks.
//!
//! Owns the scheduler of store operations (`world`, `gate`), the invariants (`oracle`, `quiescence`), the exhaustive exploration of small
//! scenarios (`explorer`), the random simulation with faults (`random`), and the check that both find planted bugs (`planted`).
//! It must never be a dependency of a shipped crate, use a real store, clock or thread, or depend on anything but scenario and seed.

mod bug_hints;
mod clock;
pub mod explorer;
pub mod fault;
mod fingerprints;
mod gate;
pub mod invariant;
mod loaded_version;
mod oracle;
pub mod planted;
mod quiescence;
pub mod random;
pub mod scenario;
pub mod schedule;
mod sources;
pub mod store_kind;
pub mod world;
