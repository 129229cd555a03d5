//! Tests of the table on a store in memory, through its public functions.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod checkpoints;
mod commits;
mod damaged_objects;
mod edit_sequences;
mod engine_fixtures;
mod ids_of_several_values;
mod other_engines;
mod pages;
mod snapshot;
mod summary;
mod support;
mod time_travel;
mod vacuum;
