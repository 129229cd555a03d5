//! One module per command.

mod demo;
mod healthcheck;
mod init;
mod man;
mod process;
mod repair;
mod serve;
mod up;

use std::io::{self, Write};

use anyhow::Context;
use clap::CommandFactory;
use datalake_processor::options::Lake;
use datalake_store::lake;

use crate::{
    args::{Cli, Command, LakeArgs},
    exit, lake_location, logging,
    traces::Traces,
};

/// Executes the command and returns the exit status.
pub(crate) async fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    // A run on a terminal shows progress bars and a table; the log would repeat them.
    let is_quiet = matches!(cli.command, Command::Process(_)) && logging::is_terminal();
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
    let log = cli.log.as_deref();
    let filter = log.unwrap_or(if is_quiet { "warn" } else { "info" });
    logging::start(filter, traces.tracer())?;
    if let Some(error) = invalid {
        tracing::warn!(
            error = exit::message(&error),
            "traces are not exported: the OpenTelemetry variables are invalid"
        );
    }
    let result = Box::pin(run(cli.command, log)).await;
    traces.flush().await;
    result
}

async fn run(command: Command, log: Option<&str>) -> anyhow::Result<u8> {
    match command {
        Command::Demo(args) => demo::demo(args, log).await,
        Command::Up(args) => up::up(args, log).await,
        Command::Process(args) => process::process(args).await,
        Command::Serve(args) => Box::pin(serve::serve(args, log)).await,
        Command::Init(args) => init::init(args).await,
        Command::Repair(args) => repair::repair(args).await,
        Command::Healthcheck(args) => healthcheck::healthcheck(args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "datalake", &mut script);
            print(&script)?;
            Ok(0)
        }
        Command::Man { dir } => man::man(dir),
    }
}

/// Prints data to standard output. A reader that closes it early, like `head`, is not an error.
pub(crate) fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write to standard output"),
        _ => Ok(()),
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
