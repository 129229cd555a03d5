//! `datalake serve`, and what `up` shares with it.

use std::{ffi::OsString, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use datalake_api::{
    clock::Clock,
    launcher::{
        RunLauncher,
        none::NoLauncher,
        process::{ProcessLauncher, RunCommand},
    },
    metrics::Metrics,
    run_history::RunHistory,
    server::{self, Parts},
    table_watch::TableWatch,
};
use datalake_processor::run::Lake;
use datalake_table::table::Table;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{self, LakeArgs, LauncherKind, RunPolicyArgs, ServeArgs},
    clock, signals,
};

/// From the polite request to a run's process to its end by force. A run between commit and report needs seconds.
const RUN_GRACE: Duration = Duration::from_secs(10);

/// Serves until a signal comes.
pub(crate) async fn serve(args: ServeArgs) -> anyhow::Result<u8> {
    let lake = super::open(&args.lake).await?;
    let shutdown = signals::cancelled_by_signals()?;
    let listener = listen(args.listen.listen).await?;
    match args.launcher {
        LauncherKind::None => answer(listener, lake, Arc::new(NoLauncher::new()), shutdown).await?,
        LauncherKind::Process => {
            let launcher = process_launcher(&args.lake, args.policy)?;
            answer(listener, lake, Arc::new(launcher.clone()), shutdown).await?;
            launcher.shut_down().await;
        }
    }
    Ok(0)
}

/// Takes the address before anything else is done, so that a taken one is said at once.
pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("the API cannot listen there; is another program? choose another --listen, address={address}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}

/// Answers requests until `shutdown`, and until those in flight have their answers.
pub(crate) async fn answer(
    listener: TcpListener,
    lake: Lake,
    launcher: Arc<dyn RunLauncher>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let hints = launcher.changes();
    let clock = Clock::new(clock::now);
    let parts = Parts {
        clock,
        table: TableWatch::new(Table::new(Arc::clone(&lake.bucket)), clock),
        runs: RunHistory::new(Arc::clone(&lake.bucket), launcher),
        bucket: lake.bucket,
        metrics: Metrics::new(),
        token: None,
    };
    server::serve(listener, parts, hints, shutdown)
        .await
        .context("the API's listener failed")
}

/// Starts this very executable for each run, with the arguments that a Job would have.
pub(crate) fn process_launcher(lake: &LakeArgs, policy: RunPolicyArgs) -> anyhow::Result<ProcessLauncher> {
    let program = std::env::current_exe().context("the path of this executable cannot be found, so that it cannot start runs")?;
    let mut arguments: Vec<OsString> = ["process", "--lake", &lake.lake.to_string(), "--output", "json"]
        .map(OsString::from)
        .into();
    for (flag, value) in [("--s3-endpoint", &lake.s3.s3_endpoint), ("--s3-region", &lake.s3.s3_region)] {
        if let Some(value) = value {
            arguments.extend([flag.into(), value.into()]);
        }
    }
    arguments.extend(["--max-reject-ratio".into(), policy.max_reject_ratio.to_string().into()]);
    if policy.single_writer {
        arguments.push("--single-writer".into());
    }
    let command = RunCommand {
        program,
        arguments,
        grace: RUN_GRACE,
    };
    Ok(ProcessLauncher::new(
        command,
        || args::new_run_id(clock::now()),
        Clock::new(clock::now),
    ))
}
