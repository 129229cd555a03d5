//! Rows as responses: which rows, in which order and format, in pages or as streams.

pub mod columns;
pub mod format;
pub mod pagination;
pub mod parquet_files;
pub mod response_cache;
pub mod row_query;
pub mod stream;
pub mod text;
pub mod text_index;
