//! Tests of the explorer and the random simulation: determinism, faults of every family, and a planted bug.

mod explorer;
mod seeds;
