//! The API through its router, over lakes in memory.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod access;
mod caching;
mod changes;
mod conditions;
mod declarations;
mod events;
mod explain;
mod fixture;
mod freshness;
mod html;
mod http_semantics;
mod ids_of_several_values;
mod kubernetes;
mod kubernetes_fixture;
mod kubernetes_reads;
mod limits;
mod metrics;
mod openapi;
mod pages;
mod problems;
mod ranges;
mod raw_requests;
mod reads;
mod row_queries;
mod run_fixture;
mod runs;
mod server;
mod swagger_ui;
mod time_travel;
mod version_cache;
