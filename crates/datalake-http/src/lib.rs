//! What axum and hyper leave out of an HTTP/1.1 server: connections with limits and timeouts, limits per client, a budget for the memory of
//! responses, preconditions, ranges, content codings, CORS and cross-site rules.
//!
//! It owns the sockets and every header that is not about the data. It knows nothing of lakes, never decides what a resource is, and never
//! writes a problem document: it returns values that the API turns into responses.

pub mod accept;
pub mod allowed_hosts;
pub mod clients;
pub mod conditional;
pub mod content_coding;
pub mod cors;
pub mod cross_site;
pub mod forwarded;
pub mod percent_encoding;
pub mod prefer;
pub mod range;
pub mod request_id;
pub mod response_budget;
pub mod server;
pub mod trusted_proxies;
