//! Observability of requests: metrics, one log line and one span each. They contain no paths and no queries, which name users.

pub mod access_log;
pub mod metrics;
pub mod traces;
