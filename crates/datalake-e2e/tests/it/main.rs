//! The executable as its users meet it, and the rules that the workspace keeps.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
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
