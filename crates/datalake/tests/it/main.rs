//! The executable: arguments and variables in; exit status, output and the state of the lake out.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod arguments;
mod commands;
mod credentials;
mod datasets;
mod doctor;
mod output;
mod process;
mod proxies;
mod read;
mod recorder;
mod s3_lake;
#[path = "../../../datalake-store/tests/it/s3_server.rs"]
mod s3_server;
mod settings;
mod signals;
mod terminal;
mod tls;
