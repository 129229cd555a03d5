//! The seam to storage: the trait [`bucket::Bucket`], and a folder, S3 and memory behind it.
//!
//! This crate knows keys as raw strings only. It never interprets what lies under them, and nothing outside it names the AWS SDK.

pub mod bucket;
#[cfg(feature = "testing")]
pub mod contract;
pub mod counter;
pub mod endpoint;
pub mod error;
#[cfg(feature = "testing")]
pub mod faults;
pub mod folder;
pub mod lake;
pub mod lake_url;
pub mod masking;
pub mod memory;
pub mod open_options;
pub mod s3;
pub mod simulation;
pub mod single_writer;
mod spelling;
mod unique;
