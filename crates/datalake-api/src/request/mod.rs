//! Parses requests: access, path, query string, body, and the snapshot that a request reads.

pub mod auth;
pub mod body;
pub mod cookies;
pub mod cursor;
pub mod data_query;
pub mod parameters;
pub mod path;
pub mod query_string;
pub mod row_path;
pub mod selected_snapshot;
pub mod session;
pub mod table_read;
pub mod version_reader;
