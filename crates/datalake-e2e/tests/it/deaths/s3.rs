//! Lakes on an S3 server.

mod boundaries;
mod crowd;
mod long_pauses;
mod network;
