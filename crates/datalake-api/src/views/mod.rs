//! How rows are written: the formats, and which one a client gets.

pub(crate) mod columns;
pub(crate) mod format;
pub(crate) mod parquet;
pub(crate) mod stream;
pub(crate) mod text;
pub(crate) mod text_parts;
