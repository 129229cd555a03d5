//! The server below the router: it accepts connections, checks the head of each request, and closes connections that make no progress.

mod activity;
mod connection;
pub mod listener;
pub mod listener_health;
mod paced_io;
mod peer;
pub mod request_error;
mod request_head;
mod request_stream;
