//! The rules of the lake as pure functions: declarations of datasets, IDs, keys, sources, images, the plan of a run, queries, rejects and reports.
//!
//! Owns what input is valid, which sources changed, what a query means and how keys are named.
//! Every result depends only on the arguments: time, too, is an argument.
//! This crate must never do I/O, read a clock or the environment, start threads, or depend on a store, the table format or HTTP.

pub mod calendar;
pub mod clock;
pub mod count;
#[cfg(test)]
mod cpu_time;
pub mod csv;
pub mod dataset;
pub mod error_chain;
pub mod file_check;
mod file_format;
pub mod image;
pub mod jpeg;
pub mod keys;
pub mod nearest;
pub mod plan;
pub mod progress;
pub mod query;
pub mod reject;
pub mod row;
pub mod row_id;
pub mod run;
pub mod source;
pub mod text;
