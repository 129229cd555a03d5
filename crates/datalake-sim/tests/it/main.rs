//! The explorer and the simulation check themselves: executions that repeat, faults of every family, and planted bugs that are found.

mod explorer;
mod seeds;
