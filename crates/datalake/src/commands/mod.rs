//! One module per command.

mod demo;
mod doctor;
mod healthcheck;
mod init;
mod man;
mod plan;
mod process;
mod read;
mod repair;
mod run_report;
mod serve;
mod up;

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use anyhow::Context;
use datalake_processor::options::Lake;
use datalake_store::lake;

use crate::{
    args::{Cli, Command, LakeArgs, help},
    exit, lake_location, logging,
    traces::Traces,
};

/// Executes the command and returns the exit status.
pub(crate) async fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    // The output of these commands shows what the log would repeat; on a terminal, so do the progress bars and the table of a run.
    let is_quiet = match cli.command {
        Command::Process(_) | Command::Repair(_) => logging::is_terminal(),
        Command::Status(_) | Command::Query(_) | Command::Rejects(_) | Command::Runs(_) | Command::Versions(_) | Command::Doctor(_) => true,
        _ => false,
    };
    let is_server = matches!(cli.command, Command::Demo(_) | Command::Up(_) | Command::Serve(_));
    let is_traced = matches!(
        cli.command,
        Command::Demo(_) | Command::Up(_) | Command::Process(_) | Command::Serve(_)
    );
    let traces = if is_traced { Traces::from_environment() } else { Ok(Traces::off()) };
    // Clusters may set these variables in every container. Invalid values must not stop this one.
    let (traces, invalid) = match traces {
        Ok(traces) => (traces, None),
        Err(error) => (Traces::off(), Some(error)),
    };
    let log = cli.log_filter().map(ToOwned::to_owned);
    let filter = log.as_deref().unwrap_or(if is_quiet { "warn" } else { "info" });
    logging::start(filter, traces.tracer())?;
    if let Some(error) = invalid {
        tracing::warn!(
            error = exit::message(&error),
            "traces are not exported: the OpenTelemetry variables are invalid"
        );
    }
    let result = Box::pin(run(cli.command, log.as_deref())).await;
    traces.flush().await;
    if is_server && result.is_ok() {
        tracing::info!("stopped");
    }
    result
}

async fn run(command: Command, log: Option<&str>) -> anyhow::Result<u8> {
    match command {
        Command::Demo(args) => demo::demo(args, log).await,
        Command::Up(args) => up::up(*args, log).await,
        Command::Process(args) => process::process(args).await,
        Command::Serve(args) => Box::pin(serve::serve(args, log)).await,
        Command::Init(args) => init::init(args).await,
        Command::Repair(args) => repair::repair(args).await,
        Command::Status(args) => Box::pin(read::status(args)).await,
        Command::Query(args) => Box::pin(read::query(args)).await,
        Command::Rejects(args) => Box::pin(read::rejects(args)).await,
        Command::Runs(args) => Box::pin(read::runs(args)).await,
        Command::Versions(args) => Box::pin(read::versions(args)).await,
        Command::Doctor(args) => Box::pin(doctor::doctor(args)).await,
        Command::Healthcheck(args) => healthcheck::healthcheck(args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut help::command(), "datalake", &mut script);
            print(&script)?;
            Ok(0)
        }
        Command::Man { dir } => man::man(dir),
    }
}

/// Prints data to standard output. A reader that closes it early, like `head`, is not an error.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    print_chunk(bytes).map(drop)
}

/// Prints a part of the data like [`print()`]. Breaks if nothing reads standard output.
fn print_chunk(bytes: &[u8]) -> anyhow::Result<ControlFlow<()>> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

/// Creates the lake if it does not exist.
async fn create(args: &LakeArgs) -> anyhow::Result<()> {
    lake_location::check(&args.lake)?;
    Ok(lake::create(&args.lake, &args.s3.open_options()).await?)
}

async fn open(args: &LakeArgs) -> anyhow::Result<Lake> {
    lake_location::check(&args.lake)?;
    let opened = lake::open(&args.lake, &args.s3.open_options()).await?;
    Ok(Lake {
        bucket: opened.bucket,
        requests: opened.requests,
    })
}
