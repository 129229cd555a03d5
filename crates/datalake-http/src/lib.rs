//! The parts of an HTTP/1.1 server that axum and hyper lack.
//!
//! The crate owns sockets with their limits and timeouts, limits per client, the memory budget of responses, and the headers for content
//! negotiation, preconditions, ranges, CORS, proxies and request IDs. It must never read the lake, define a route, or choose the status
//! of an error: it returns values, which the API converts to responses.

pub mod accept;
pub mod allowed_hosts;
pub mod client_limits;
pub mod client_scheme;
pub mod conditional;
pub mod content_coding;
pub mod cors;
pub mod cross_site;
pub mod percent_encoding;
pub mod prefer;
pub mod range;
pub mod request_id;
pub mod response_budget;
pub mod server;
pub mod trusted_proxies;
