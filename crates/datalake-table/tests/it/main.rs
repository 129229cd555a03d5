//! The table over a bucket in memory, through its public functions.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod checkpoints;
mod commits;
mod damage;
mod foreign;
mod history;
mod readers;
mod removal;
mod snapshot;
mod support;
mod travel;
