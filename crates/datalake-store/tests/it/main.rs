//! Tests of every store, including the contract suite.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod folder;
mod folder_fences;
mod folder_names;
mod memory;
mod s3;
mod s3_canned;
mod s3_clock;
mod s3_errors;
mod s3_fences;
mod s3_listings;
mod s3_operations;
#[cfg(feature = "real-s3")]
mod s3_real;
mod s3_retries;
mod s3_server;
mod s3_suspension;
mod s3_sweep;
mod single_writer;
