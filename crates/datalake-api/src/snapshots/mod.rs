//! Versions of the table in memory: the newest, which is followed, and earlier ones, which are loaded when they are requested.

mod cache;
pub mod error;
pub mod versions;
pub mod watch;
