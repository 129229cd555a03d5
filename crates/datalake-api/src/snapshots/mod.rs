//! Versions of the table in memory: the latest, which a watch keeps current, and earlier ones, which are loaded on request.

mod cache;
pub mod error;
pub mod versions;
pub mod watch;
