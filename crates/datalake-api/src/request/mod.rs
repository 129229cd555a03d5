//! What handlers extract from a request: its parameters, its snapshot of the table, its cursor, its rights, its body.

pub mod auth;
pub mod body;
pub mod cursor;
pub mod query_string;
pub mod session;
pub mod snapshot;
pub mod version_reads;
