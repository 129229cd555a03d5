//! The rules of the lake, without the lake: what a user, a key, a source, an image, a plan, a filter and a report are.
//!
//! Everything here is a function of its arguments. This crate never does I/O, never asks a clock or the environment, and knows no
//! store, no table format and no HTTP: the shells around it do.

pub mod calendar;
pub mod clock;
pub mod count;
pub mod error_chain;
mod format;
pub mod image;
pub mod keys;
pub mod nearest;
pub mod output;
pub mod plan;
pub mod query;
pub mod reject;
pub mod report;
pub mod row;
pub mod source;
#[cfg(test)]
mod testing;
mod text;
pub mod user;
