//! The executable: arguments, wiring, output, progress, logs and exit status.
//!
//! It owns the command line and everything that a terminal shows. The other crates contain the run, the table and the servers. It must never
//! decide a rule of the lake, choose an HTTP status, or format a key.

mod args;
mod clock;
mod command_line;
mod commands;
mod csv;
mod dataset_file;
mod document;
mod documentation;
mod exit;
mod lake_arguments;
mod lake_label;
mod lake_location;
mod listen;
mod log_line;
mod logging;
mod progress;
mod samples;
mod schedule;
mod screen;
mod signals;
mod table;
#[cfg(test)]
mod tests;
mod time_format;
mod token_file;
mod traces;

use std::process::ExitCode;

/// The threads for file access and Parquet. With tokio's default of 512, each small file in flight gets a thread with its own memory: a first run over
/// a folder then uses 200 MiB more and is slower.
const BLOCKING_THREADS_MAX: usize = 16;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match command_line::parse() {
        Ok(cli) => cli,
        Err(status) => return status,
    };
    let lake = lake_arguments::lake_of(&cli.command).map(lake_arguments::arguments);
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
        Err(error) => exit::report(&error, lake.as_deref()),
    }
}
