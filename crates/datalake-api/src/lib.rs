//! The reader: serves the newest version of the users table from memory, and starts runs through a launcher.
//!
//! It never writes to the lake and never links the processor. The only crate that names axum. Status codes are chosen in `problem.rs`
//! alone; handlers extract, call and encode.

mod accept;
mod activity;
pub mod allowed_hosts;
mod answers;
mod body;
mod byte_range;
mod caching;
mod client_connections;
mod client_io;
pub mod clock;
mod compression;
mod connections;
pub mod cors;
mod cross_site;
mod cursor;
mod etags;
mod examples;
mod extract;
mod first_head;
mod first_run;
mod forwarded;
pub mod launcher;
mod limits;
mod links;
mod listing;
pub mod metrics;
mod observe;
mod ordered_rows;
mod pages;
mod past_cache;
mod past_versions;
mod prefer;
mod probes;
mod problem;
mod reading;
mod request_error;
mod request_head;
mod request_heads;
mod request_id;
mod routes;
mod run_details;
pub mod run_history;
mod run_view;
mod scan;
pub mod server;
mod session;
mod state;
mod surroundings;
pub mod table_watch;
pub mod token;
mod told;
pub mod traces;
mod validators;
mod views;
