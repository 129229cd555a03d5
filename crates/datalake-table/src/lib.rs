//! The users table: a Delta Lake table (reader version 1, writer version 2) written by ourselves, and what a reader keeps of it.
//!
//! The only crate that names polars. It never asks a clock (the names of new files aside, which are UUIDs of version 7), never reads
//! a source, and never changes an object in place, `_last_checkpoint` aside.

pub mod blocking;
pub mod delta;
pub mod digest;
pub mod error;
pub mod memory;
pub mod table;
