//! Lakes on an S3 server.

mod boundaries;
mod concurrent_runs;
mod long_pauses;
mod network;
