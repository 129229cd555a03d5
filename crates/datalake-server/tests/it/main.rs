//! The API through its router, over lakes in memory.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod access;
mod caching;
mod changes;
mod conditions;
mod data;
mod docs;
mod events;
mod fixture;
mod freshness;
mod html;
mod kubernetes;
mod kubernetes_reads;
mod limits;
mod manners;
mod metrics;
mod namespace;
mod one_user;
mod openapi;
mod pages;
mod past;
mod problems;
mod raw;
mod rows;
mod run_fixture;
mod runs;
mod server;
mod text_parts;
mod travel;
