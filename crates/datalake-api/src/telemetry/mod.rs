//! What the server reports about itself: metrics, one log line and one span for each request. Never a path or a query: they name users.

pub mod access_log;
pub mod metrics;
pub mod traces;
