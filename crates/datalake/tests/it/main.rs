//! The executable as its users meet it: arguments in; exit status, words and the lake's state out.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod arguments;
mod commands;
mod credentials;
mod output;
mod process;
mod proxies;
mod recorder;
mod s3;
#[path = "../../../datalake-store/tests/it/s3_server.rs"]
mod s3_server;
mod settings;
mod signals;
mod tls;
