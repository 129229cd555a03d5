//! The simulation checks itself: seeds that repeat, and faults of every family.

mod seeds;
