//! What a reader keeps of a version: packed columns, statistics, and ways through the rows.

pub mod columns;
pub mod difference;
pub mod export;
pub(crate) mod packed;
pub mod row_cursor;
pub mod snapshot;
pub mod statistics;
