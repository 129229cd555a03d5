//! The checks check: small explorations, seeds that repeat, and faults of every family.

mod explorer;
mod seeds;
