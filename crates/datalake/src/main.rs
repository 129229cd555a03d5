//! The executable: arguments, wiring, exit status. The libraries implement the commands.

mod args;
mod clock;
mod commands;
#[cfg(test)]
mod configuration_page;
mod csv;
mod document;
mod exit;
mod human;
mod lake_label;
mod lake_location;
mod listen;
mod log_line;
mod logging;
mod progress;
#[cfg(test)]
mod quoted_commands;
mod schedule;
mod screen;
mod server_progress;
mod signals;
mod table;
mod token_file;
mod traces;
mod usage;

use std::process::ExitCode;

/// The threads for file access and Parquet. With tokio's default of 512, each small file in flight gets a thread with its own memory: a first run over
/// a folder then uses 200 MiB more and is slower.
const BLOCKING_THREADS_MAX: usize = 16;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match usage::parse() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    // One TLS stack for all clients. The installation fails only if there is one already.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let result = runtime.block_on(commands::dispatch(cli));
            // A file operation of a stopped command may never return, for example on a network file system.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => exit::report(&error),
    }
}
