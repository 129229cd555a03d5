//! Access to storage: the trait [`bucket::Bucket`], and its implementations for a folder, S3 and memory.
//!
//! This crate owns paths, ETags, conditions, retries, credentials and the errors of stores, and the hooks by which simulations determine names,
//! time and planted bugs. It is the only crate that uses the AWS SDK.
//! It must never interpret the content of an object, choose what to write, or decide whether a run may continue.
//! It must never follow a link out of a lake, or write credentials to a log or an error.

pub mod bucket;
#[cfg(feature = "testing")]
pub mod contract;
pub mod error;
#[cfg(feature = "testing")]
pub mod faults;
pub mod folder;
mod key_encoding;
pub mod lake;
pub mod lake_url;
pub mod masking;
pub mod memory;
pub mod open_options;
pub mod request_counter;
pub mod s3;
pub mod s3_settings;
pub mod setting_text;
pub mod simulation;
pub mod single_writer;
pub mod unique_name;
