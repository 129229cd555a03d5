//! The table over a bucket in memory, through its public functions.

mod checkpoints;
mod commits;
mod foreign;
mod history;
mod readers;
mod removal;
mod support;
