//! A run, from the outside: sources in, table, CSV, pictures and report out.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod edits;
mod faults;
mod histories;
mod image_rules;
mod input_rules;
mod lake;
mod meanwhile;
mod pauses;
mod races;
mod recovery;
mod rules;
mod small_segments;
mod unreadable;
mod vacuum;
