//! The reader: serves the newest version of the users table from memory, and starts runs through a launcher.
//!
//! It never writes to the lake and never links the processor. The only crate that names axum. Status codes are chosen in `problem.rs`
//! alone; handlers extract, call and encode.

mod admin;
mod answers;
mod body;
mod caching;
mod cursor;
mod examples;
mod extract;
mod first_run;
mod limits;
mod links;
mod listing;
pub mod metrics;
mod observe;
mod ordered_rows;
mod pages;
mod past_cache;
mod past_reads;
mod past_versions;
mod probes;
mod problem;
mod reading;
mod routes;
mod run_details;
mod run_view;
mod scan;
pub mod server;
mod session;
mod state;
mod surroundings;
pub mod table_watch;
pub mod token;
pub mod traces;
mod views;
