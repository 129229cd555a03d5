//! The server below the router: it accepts connections, checks the head of each request, and ends connections that make no progress.

mod activity;
pub mod connection;
pub mod listener_health;
mod paced_io;
pub mod request_error;
mod request_head;
mod request_stream;
