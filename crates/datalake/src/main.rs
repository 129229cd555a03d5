//! The executable: arguments, wiring, exit status. What the commands do is in the libraries.

mod args;
mod clock;
mod commands;
mod exit;
mod lake_place;
mod listen;
mod logging;
mod progress;
mod schedule;
mod signals;
mod token_file;
mod traces;
mod usage;

use std::process::ExitCode;

/// Files and Parquet are read on such threads. Tokio's default of 512 makes a thread for each small file in flight, and each keeps
/// memory of its own: a first run over a folder then holds 200 MiB more, and is slower.
const BLOCKING_THREADS_MAX: usize = 16;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match usage::parse() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    // One TLS stack for all clients; installing it fails only where one is installed already.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let done = runtime.block_on(commands::dispatch(cli));
            // A command that was stopped may have left a file call that does not return, on a network file system for example.
            runtime.shutdown_background();
            done
        });
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::report(&error),
    }
}
