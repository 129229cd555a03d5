//! What a reader keeps of a version in memory: packed columns, statistics, cursors over the rows, and exports.
//!
//! A snapshot never changes. Files here use `delta/` to read data files; nothing in `delta/` uses this folder.

pub(crate) mod columns;
pub(crate) mod day_counts;
pub mod difference;
pub mod distribution;
pub mod export;
pub(crate) mod loader;
pub mod packed_rows;
pub(crate) mod packed_values;
pub mod row_cursor;
pub mod snapshot;
pub mod statistics;
pub mod summary;
