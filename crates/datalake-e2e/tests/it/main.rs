//! Black-box tests of the executable, and tests of the rules of the workspace.

#![expect(
    clippy::unwrap_used,
    reason = "clippy does not recognize shared functions of a test binary as tests"
)]

#[cfg(feature = "browser")]
mod browser;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "compose")]
mod compose;
#[cfg(feature = "deaths")]
mod deaths;
mod demo;
mod readme;
mod server;
mod traces;
mod workspace;
