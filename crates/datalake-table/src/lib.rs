//! The users table: a Delta Lake table (reader version 1, writer version 2) written by ourselves, and what a reader keeps of it.
//!
//! The only crate that names polars. It never asks a clock (the names of new files aside, which are UUIDs of version 7), never reads
//! a source, and never changes an object in place, `_last_checkpoint` aside.

mod actions;
pub mod blocking;
mod checkpoint;
pub mod columns;
pub mod commit;
pub mod difference;
pub mod digest;
pub mod error;
pub mod export;
mod frame;
pub mod history;
pub mod log;
mod packed;
mod parquet_writer;
mod refusals;
mod replay;
mod retention;
mod schema;
mod segment;
mod shred;
pub mod snapshot;
pub mod stage;
pub mod statistics;
pub mod table;
mod unique;
pub mod vacuum;
pub mod version;
pub mod walk;
