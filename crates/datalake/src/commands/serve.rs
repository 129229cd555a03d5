//! `datalake serve`, and what `up` shares with it.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    net::Ipv4Addr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use datalake_api::{
    lake_label::LakeLabel,
    request::auth::{Access, Token},
    snapshots::watch::TableWatch,
    state::Parts,
    telemetry::metrics::Metrics,
};
use datalake_core::clock::Clock;
use datalake_http::{
    allowed_hosts::{AllowedHosts, HostName},
    cors::Origin,
    trusted_proxies::{ProxyNetwork, TrustedProxies},
};
use datalake_processor::options::Lake;
use datalake_runs::{
    disabled::DisabledLauncher,
    kubernetes::launcher::KubernetesLauncher,
    launcher::RunLauncher,
    process::{ProcessLauncher, RunCommand},
    runs::Runs,
};
use datalake_server::serve::{self, Listeners};
use datalake_table::table::Table;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{self, AccessArgs, AddressingStyle, ClientArgs, LakeArgs, LauncherKind, ListenArgs, RunPolicyArgs, ServeArgs},
    clock,
    exit::{self, UsageError},
    lake_label::lake_label,
    listen::ListenAddress,
    logging,
    progress::server_bars,
    signals, token_file,
};

/// The time between SIGTERM and SIGKILL to the process of a run. A run between its commit and its report needs seconds.
const RUN_GRACE: Duration = Duration::from_secs(10);

/// 64 bits in hexadecimal digits, which cannot be guessed over a network.
const TOKEN_BYTES_RECOMMENDED: usize = 16;

/// Which clients and sites may use the API.
#[derive(Debug)]
pub(crate) struct Admission {
    access: Access,
    token_file: Option<PathBuf>,
    cors_origins: Vec<Origin>,
    allowed_hosts: Vec<HostName>,
    trusted_proxies: Vec<ProxyNetwork>,
}

/// Serves the API until a signal arrives.
pub(crate) async fn serve(args: ServeArgs, log: Option<&str>) -> anyhow::Result<u8> {
    let admission = admission(&args.access, &args.clients)?;
    let label = lake_label(&args.lake, &args.page);
    let lake = super::open(&args.lake).await?;
    let shutdown = signals::cancelled_by_signals()?;
    let listeners = listen(&args.listen, &args.clients).await?;
    announce(&listeners, &args.lake)?;
    match args.launcher {
        LauncherKind::None => serve_until(listeners, lake, label, Arc::new(DisabledLauncher::new()), admission, shutdown).await,
        LauncherKind::Process => {
            let launcher = process_launcher(&args.lake, &args.policy, log)?;
            let served = async {
                serve_until(listeners, lake, label, Arc::new(launcher.clone()), admission, shutdown).await;
                launcher.shut_down().await;
            };
            server_bars::show_during(&launcher, served).await;
        }
        LauncherKind::Kubernetes => {
            let cron_job = args.cronjob.as_deref().context("--cronjob is missing")?;
            let launcher = KubernetesLauncher::connect(cron_job, Clock::new(clock::now))
                .await
                .map_err(|error| UsageError(format!("cannot use --launcher kubernetes: {}", exit::message(&error.into()))))?;
            let watch = shutdown.child_token();
            let serving = async {
                serve_until(listeners, lake, label, Arc::new(launcher.clone()), admission, shutdown).await;
                watch.cancel();
            };
            let ((), ()) = tokio::join!(serving, launcher.watch_jobs(watch.clone()));
        }
    }
    Ok(0)
}

/// The admission of clients from the arguments.
pub(crate) fn admission(args: &AccessArgs, clients: &ClientArgs) -> anyhow::Result<Admission> {
    Ok(Admission {
        access: access(args)?,
        token_file: args.token_file.clone(),
        cors_origins: args.cors_origins.clone(),
        allowed_hosts: args.allowed_hosts.clone(),
        trusted_proxies: clients.trusted_proxies.clone(),
    })
}

/// The access rights, with the token from its file.
fn access(args: &AccessArgs) -> anyhow::Result<Access> {
    let Some(file) = &args.token_file else {
        return match args.protect_reads {
            true => Err(UsageError("--protect-reads needs a token; pass the file with the token to --token-file".to_owned()).into()),
            false => Ok(Access::Open),
        };
    };
    let text = token_file::read(file).map_err(|reason| UsageError(format!("--token-file {}: {reason}", file.display())))?;
    if text.len() < TOKEN_BYTES_RECOMMENDED {
        tracing::warn!(
            bytes = text.len(),
            "the token is short and may be guessed; create a longer one with `openssl rand -hex 32`"
        );
    }
    token_file::warn_if_readable_by_all(file);
    let token = Token::new(&text);
    let token = match &args.token_hint {
        Some(hint) => token.with_hint(hint),
        None => token,
    };
    Ok(if args.protect_reads {
        Access::ProtectAll(token)
    } else {
        Access::ProtectRuns(token)
    })
}

/// Binds the addresses before the lake is opened, so that an address in use is reported at once.
pub(crate) async fn listen(args: &ListenArgs, clients: &ClientArgs) -> anyhow::Result<Listeners> {
    let api = bind(&args.listen, "--listen").await?;
    let admin = match &clients.admin_listen {
        Some(address) => Some(bind(address, "--admin-listen").await?),
        None => None,
    };
    raise_open_files();
    tracing::info!(address = %api.local_addr()?, url = url_of(&api)?, "listening");
    if let Some(admin) = &admin {
        tracing::info!(address = %admin.local_addr()?, "listening for probes and metrics");
    }
    Ok(Listeners { api, admin })
}

async fn bind(address: &ListenAddress, flag: &str) -> anyhow::Result<TcpListener> {
    let addresses = address.resolve().await.map_err(|error| {
        UsageError(format!(
            "cannot listen on {address}: cannot resolve the host name ({error}); pass an address of this machine to {flag}"
        ))
    })?;
    TcpListener::bind(addresses.as_slice())
        .await
        .map_err(|error| bind_error(address, flag, &error))
}

fn bind_error(address: &ListenAddress, flag: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!("cannot listen on {address}: address in use; choose another port with {flag}"),
        // A retry will not help.
        io::ErrorKind::PermissionDenied => UsageError(format!(
            "cannot listen on {address}: permission denied; ports below 1024 need root, choose another port with {flag}"
        ))
        .into(),
        _ => anyhow!("cannot listen on {address}: {error}; choose another address or port with {flag}"),
    }
}

/// The URL of the API for clients on this machine.
fn url_of(listener: &TcpListener) -> io::Result<String> {
    let address = ListenAddress::Ip(listener.local_addr()?).reachable();
    Ok(match address {
        ListenAddress::Ip(address) if address.ip() == Ipv4Addr::LOCALHOST => format!("http://localhost:{}/", address.port()),
        address => format!("http://{address}/"),
    })
}

/// Prints the URL of the API on a terminal. The log has it as well.
pub(super) fn announce(listeners: &Listeners, lake: &LakeArgs) -> anyhow::Result<()> {
    if !io::stdout().is_terminal() {
        return Ok(());
    }
    let text = format!(
        "\n  Web UI and API: {}\n  Lake:           {}\n\n  Press Ctrl-C to stop.\n\n",
        url_of(&listeners.api)?,
        lake.lake
    );
    super::print(text.as_bytes())
}

/// Raises the limit of open files to the system's maximum. Shells and service managers set it to 1,024;
/// 1,024 slow clients would exhaust it.
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(error = %error, "cannot raise the limit of open files");
    }
}

/// Serves requests until `shutdown`, and then until the requests in flight are done.
pub(crate) async fn serve_until(
    listeners: Listeners,
    lake: Lake,
    label: LakeLabel,
    launcher: Arc<dyn RunLauncher>,
    admission: Admission,
    shutdown: CancellationToken,
) {
    let local = listeners.api.local_addr().map(|address| address.ip());
    let is_loopback = local.as_ref().is_ok_and(|ip| ip.to_canonical().is_loopback());
    if !is_loopback {
        warn_of_open_access(&admission.access);
    }
    let hints = launcher.changes();
    let clock = Clock::new(clock::now);
    let parts = Parts {
        clock,
        table: TableWatch::new(Table::new(Arc::clone(&lake.bucket)), clock),
        runs: Runs::new(Arc::clone(&lake.bucket), launcher),
        bucket: lake.bucket,
        lake_label: label,
        metrics: Metrics::new(),
        access: admission.access,
        cors_origins: admission.cors_origins,
        allowed_hosts: allowed_hosts(admission.allowed_hosts, is_loopback),
        trusted_proxies: TrustedProxies::from_iter(admission.trusted_proxies),
    };
    let token = parts.access.token().cloned();
    let token_updates = async {
        if let (Some(file), Some(token)) = (&admission.token_file, &token) {
            token_file::follow(file, token).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serve::serve(listeners, parts, hints, shutdown) => {}
        () = token_updates => {}
    }
}

/// The host names that requests may use.
fn allowed_hosts(listed: Vec<HostName>, is_loopback: bool) -> AllowedHosts {
    match (is_loopback, listed.is_empty()) {
        (true, _) => AllowedHosts::Loopback(listed.into()),
        (false, false) => AllowedHosts::Listed(listed.into()),
        (false, true) => AllowedHosts::Any,
    }
}

/// Warns if clients on other machines can use the API without a token.
fn warn_of_open_access(access: &Access) {
    match access {
        Access::Open => tracing::warn!(
            "every client that reaches this address can read all rows and start runs; set --token-file, or listen on 127.0.0.1"
        ),
        Access::ProtectRuns(_) => {
            tracing::warn!("every client that reaches this address can read all rows; set --protect-reads, or listen on 127.0.0.1");
        }
        Access::ProtectAll(_) => {}
    }
}

/// Starts this executable for each run, with the arguments that a Job would have. `log` is the value of `--log`.
pub(crate) fn process_launcher(lake: &LakeArgs, policy: &RunPolicyArgs, log: Option<&str>) -> anyhow::Result<ProcessLauncher> {
    let program = std::env::current_exe().context("cannot start runs: the path of this executable is unknown")?;
    let command = RunCommand {
        program,
        arguments: run_arguments(lake, policy, log),
        grace_period: RUN_GRACE,
    };
    let launcher = ProcessLauncher::new(command, || args::new_run_id(clock::now()), Clock::new(clock::now));
    launcher.set_log_writer(logging::write_child_log);
    Ok(launcher)
}

fn run_arguments(lake: &LakeArgs, policy: &RunPolicyArgs, log: Option<&str>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["process", "--lake", &lake.lake.to_string(), "--output", "json"]
        .map(OsString::from)
        .into();
    let addressing = match lake.s3.addressing {
        AddressingStyle::Auto => None,
        style => style.to_possible_value().map(|value| value.get_name().to_owned()),
    };
    let settings = [
        ("--s3-endpoint", lake.s3.endpoint.as_ref().map(ToString::to_string)),
        ("--s3-region", lake.s3.region.as_ref().map(ToString::to_string)),
        ("--s3-addressing", addressing),
        ("--log", log.map(ToOwned::to_owned)),
    ];
    for (flag, value) in settings {
        if let Some(value) = value {
            arguments.extend([flag.into(), value.into()]);
        }
    }
    arguments.extend(["--max-reject-ratio".into(), policy.max_reject_ratio.to_string().into()]);
    if let Some(dataset) = &policy.dataset {
        arguments.extend(["--dataset".into(), dataset.into()]);
    }
    if policy.single_writer {
        arguments.push("--single-writer".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    /// `up` with these arguments passes these arguments to its runs.
    #[track_caller]
    fn check(arguments: &[&str], expected: &[&str]) {
        let cli = Cli::try_parse_from(["datalake", "up"].iter().chain(arguments)).unwrap();
        let Command::Up(up) = cli.command else { panic!("{cli:?}") };
        let passed = run_arguments(&up.lake, &up.policy, cli.log.as_deref());
        assert_eq!(passed, expected.iter().map(OsString::from).collect::<Vec<_>>());
        let parsed = Cli::try_parse_from([OsString::from("datalake")].into_iter().chain(passed)).unwrap();
        let Command::Process(process) = parsed.command else {
            panic!("{parsed:?}")
        };
        assert_eq!((process.lake.lake, parsed.log), (up.lake.lake, cli.log));
    }

    #[test]
    fn runs_get_the_settings_of_the_server() {
        check(
            &["--lake", "s3://bucket/a%25b"],
            &[
                "process",
                "--lake",
                "s3://bucket/a%25b",
                "--output",
                "json",
                "--max-reject-ratio",
                "0.5",
            ],
        );
        check(
            &[
                "--lake",
                "x",
                "--s3-endpoint",
                "http://e",
                "--s3-region",
                "r",
                "--s3-addressing",
                "virtual",
                "--max-reject-ratio",
                "1",
                "--dataset",
                "orders.toml",
                "--single-writer",
                "--log",
                "debug",
            ],
            &[
                "process",
                "--lake",
                "x",
                "--output",
                "json",
                "--s3-endpoint",
                "http://e",
                "--s3-region",
                "r",
                "--s3-addressing",
                "virtual",
                "--log",
                "debug",
                "--max-reject-ratio",
                "1",
                "--dataset",
                "orders.toml",
                "--single-writer",
            ],
        );
    }
}
