//! The table of rows: a Delta Lake table (reader version 1, writer version 2) in a store.
//!
//! `delta/` owns what is on disk, `memory/` what a reader keeps of a version; [`table::Table`] is the interface to both.
//! This is the only crate that uses polars, and the only one that reads or writes the objects under `processed_data/users/`.
//! It must never read a source, read a clock (time is an argument or the store's), or change an object in place, except `_last_checkpoint`.

pub mod blocking;
pub mod declaration;
pub mod delta;
pub mod digest;
pub mod error;
pub mod memory;
pub mod settings;
pub mod table;
