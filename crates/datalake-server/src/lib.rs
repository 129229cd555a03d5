//! The server: the API and the web UI with one router with its layers, and its life on a listener.
//!
//! It owns composition and lifecycle: which layers surround which routes, the admin listener, the first run of a lake, graceful shutdown. It has no
//! route of its own but `/`, and never decides what a resource is.

mod admin;
mod bootstrap;
mod index;
mod layers;
pub mod serve;
