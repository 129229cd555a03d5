//! Combines the API and the web UI in one router with its layers, and serves it until shutdown.
//!
//! This crate owns composition and lifecycle: which layers surround which routes, the admin listener, the first run of a lake, graceful shutdown.
//! Commands that read a lake without a server use the same routes (`reader.rs`).
//! On the API listener, its only own route is `/`. It does not define resources.

mod admin;
mod bootstrap;
mod index;
mod layers;
pub mod reader;
pub mod serve;
