//! The data API: rows, statistics, history, changes, images and runs of a lake over HTTP, from a table in memory.
//!
//! It owns the meaning of every request: parameters, snapshots, formats, limits, problems, telemetry. `problem/kind.rs` alone
//! chooses the status of an error; handlers extract, call and encode. It must never write to the lake, link the processor, render a page or accept
//! a connection.

pub mod cache_control;
pub mod digest;
pub mod freshness;
mod images;
mod json_number;
pub mod lake_label;
pub mod limits;
pub mod operator_paths;
pub mod problem;
pub mod request;
pub mod routes;
pub mod rows;
pub mod snapshots;
pub mod state;
pub mod telemetry;
pub mod theme;
