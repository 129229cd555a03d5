//! `datalake serve`, and what `up` shares with it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::ValueEnum;
use datalake_api::{
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
    disabled::NoLauncher,
    kubernetes::launcher::KubernetesLauncher,
    launcher::RunLauncher,
    process::{ProcessLauncher, RunCommand},
    runs::RunHistory,
};
use datalake_server::serve::{self, Listeners};
use datalake_table::table::Table;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{self, AccessArgs, AddressingStyle, ClientArgs, LakeArgs, LauncherKind, ListenArgs, RunPolicyArgs, ServeArgs},
    clock,
    exit::{self, UsageError},
    listen::ListenAddress,
    signals, token_file,
};

/// From the polite request to a run's process to its end by force. A run between commit and report needs seconds.
const RUN_GRACE: Duration = Duration::from_secs(10);

/// How often the token's file is read again: a few bytes in the page cache.
const TOKEN_PERIOD: Duration = Duration::from_secs(5);

/// 64 bits in hexadecimal digits cannot be guessed over a network.
const TOKEN_BYTES_RECOMMENDED: usize = 16;

/// Who is let in, and the sites whose pages may read what is answered.
#[derive(Debug)]
pub(crate) struct Admission {
    access: Access,
    token_file: Option<PathBuf>,
    cors_origins: Vec<Origin>,
    allowed_hosts: Vec<HostName>,
    trusted_proxies: Vec<ProxyNetwork>,
}

/// Serves until a signal comes.
pub(crate) async fn serve(args: ServeArgs, log: Option<&str>) -> anyhow::Result<u8> {
    let admission = admission(&args.access, &args.clients)?;
    let lake = super::open(&args.lake).await?;
    let shutdown = signals::cancelled_by_signals()?;
    let listeners = listen(&args.listen, &args.clients).await?;
    match args.launcher {
        LauncherKind::None => answer(listeners, lake, Arc::new(NoLauncher::new()), admission, shutdown).await,
        LauncherKind::Process => {
            let launcher = process_launcher(&args.lake, args.policy, log)?;
            answer(listeners, lake, Arc::new(launcher.clone()), admission, shutdown).await;
            launcher.shut_down().await;
        }
        LauncherKind::Kubernetes => {
            let cron_job = args.cronjob.as_deref().context("clap asks for --cronjob")?;
            let launcher = KubernetesLauncher::connect(cron_job, Clock::new(clock::now))
                .await
                .map_err(|error| UsageError(format!("--launcher kubernetes cannot work here: {}", exit::in_words(&error.into()))))?;
            // It follows the Jobs while answers are given.
            let following = shutdown.child_token();
            let answering = async {
                answer(listeners, lake, Arc::new(launcher.clone()), admission, shutdown).await;
                following.cancel();
            };
            let ((), ()) = tokio::join!(answering, launcher.follow(following.clone()));
        }
    }
    Ok(0)
}

/// What the arguments say of those who ask.
pub(crate) fn admission(args: &AccessArgs, clients: &ClientArgs) -> anyhow::Result<Admission> {
    Ok(Admission {
        access: access(args)?,
        token_file: args.token_file.clone(),
        cors_origins: args.cors_origins.clone(),
        allowed_hosts: args.allowed_hosts.clone(),
        trusted_proxies: clients.trusted_proxies.clone(),
    })
}

/// Who may do what, with the token that the file holds.
fn access(args: &AccessArgs) -> anyhow::Result<Access> {
    let Some(file) = &args.token_file else {
        return match args.protect_reads {
            true => Err(UsageError("--protect-reads needs a token; name its file with --token-file".to_owned()).into()),
            false => Ok(Access::Open),
        };
    };
    let text = read_token(file).map_err(|reason| UsageError(format!("--token-file {}: {reason}", file.display())))?;
    if text.len() < TOKEN_BYTES_RECOMMENDED {
        tracing::warn!(
            bytes = text.len(),
            "the token is short enough to be guessed; `openssl rand -hex 32` makes a better one"
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

/// The token in a file.
fn read_token(file: &Path) -> Result<String, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read it: {error}; it must contain the token and nothing else"))?;
    // Editors and `echo` end a file with a line feed, which no header can carry.
    let token = text.trim();
    match !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(token.to_owned()),
        false => Err("it contains no token; a token is visible ASCII characters".to_owned()),
    }
}

/// Takes another token whenever the file has one: a Secret that is rotated shows in its volume, and the former token then ends.
async fn follow_token(file: &Path, token: &Token) {
    let mut last_reason = None;
    loop {
        tokio::time::sleep(TOKEN_PERIOD).await;
        match read_token(file) {
            Ok(text) => {
                last_reason = None;
                if token.replace(&text) {
                    tracing::info!("token replaced");
                }
            }
            Err(reason) => {
                if last_reason.as_ref() != Some(&reason) {
                    tracing::warn!(file = %file.display(), reason, "cannot read token file; the last token stays valid");
                    last_reason = Some(reason);
                }
            }
        }
    }
}

/// Binds the addresses before anything else is done, so that one in use is reported at once.
pub(crate) async fn listen(args: &ListenArgs, clients: &ClientArgs) -> anyhow::Result<Listeners> {
    let api = bind(&args.listen, "--listen").await?;
    let admin = match &clients.admin_listen {
        Some(address) => Some(bind(address, "--admin-listen").await?),
        None => None,
    };
    raise_open_files();
    tracing::info!(address = %api.local_addr()?, "listening");
    if let Some(admin) = &admin {
        tracing::info!(address = %admin.local_addr()?, "listening for probes and metrics");
    }
    Ok(Listeners { api, admin })
}

async fn bind(address: &ListenAddress, flag: &str) -> anyhow::Result<TcpListener> {
    let addresses = address.resolve().await.map_err(|error| {
        UsageError(format!(
            "cannot listen on {address}: the host's name cannot be resolved ({error}); use an address of this machine in {flag}"
        ))
    })?;
    TcpListener::bind(addresses.as_slice())
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address or port with {flag}"))
}

/// Shells and service managers allow a process 1,024 files, as a courtesy to programs of the last century: as many slow clients would
/// keep all others out. What the system allows at most is taken instead.
#[cfg(unix)]
fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(error = %error, "the number of open files stays what it was");
    }
}

#[cfg(not(unix))]
fn raise_open_files() {}

/// Answers requests until `shutdown`, and until those in flight have their answers.
pub(crate) async fn answer(
    listeners: Listeners,
    lake: Lake,
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
        runs: RunHistory::new(Arc::clone(&lake.bucket), launcher),
        bucket: lake.bucket,
        metrics: Metrics::new(),
        access: admission.access,
        cors_origins: admission.cors_origins,
        allowed_hosts: allowed_hosts(admission.allowed_hosts, is_loopback),
        trusted_proxies: TrustedProxies::from_iter(admission.trusted_proxies),
    };
    let token = parts.access.token().cloned();
    let following = async {
        if let (Some(file), Some(token)) = (&admission.token_file, &token) {
            follow_token(file, token).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serve::serve(listeners, parts, hints, shutdown) => {}
        () = following => {}
    }
}

/// The names under which a server that listens here is reached.
fn allowed_hosts(listed: Vec<HostName>, is_loopback: bool) -> AllowedHosts {
    match (is_loopback, listed.is_empty()) {
        (true, _) => AllowedHosts::Loopback(listed.into()),
        (false, false) => AllowedHosts::Listed(listed.into()),
        (false, true) => AllowedHosts::Any,
    }
}

/// Other machines reach the server.
fn warn_of_open_access(access: &Access) {
    match access {
        Access::Open => tracing::warn!(
            "without a token, every client that reaches this address can read all rows and start runs; set --token-file, or listen on 127.0.0.1"
        ),
        Access::ProtectRuns(_) => {
            tracing::warn!("every client that reaches this address can read all rows; set --protect-reads, or listen on 127.0.0.1");
        }
        Access::ProtectAll(_) => {}
    }
}

/// Starts this very executable for each run, with the arguments that a Job would have. `log` is what `--log` says.
pub(crate) fn process_launcher(lake: &LakeArgs, policy: RunPolicyArgs, log: Option<&str>) -> anyhow::Result<ProcessLauncher> {
    let program = std::env::current_exe().context("the path of this executable cannot be found, so that it cannot start runs")?;
    let command = RunCommand {
        program,
        arguments: run_arguments(lake, policy, log),
        grace: RUN_GRACE,
    };
    Ok(ProcessLauncher::new(
        command,
        || args::new_run_id(clock::now()),
        Clock::new(clock::now),
    ))
}

fn run_arguments(lake: &LakeArgs, policy: RunPolicyArgs, log: Option<&str>) -> Vec<OsString> {
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

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_replaced_ends_the_former_one_and_a_missing_file_ends_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "first\n").unwrap();
        let token = Token::new(&read_token(&file).unwrap());
        let follow = async |text: Option<&str>| {
            match text {
                Some(text) => std::fs::write(&file, text).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            // Virtual time: it reads the file again before this ends.
            let _over = tokio::time::timeout(TOKEN_PERIOD * 2, follow_token(&file, &token)).await;
        };
        follow(Some("second\n")).await;
        assert!(!token.replace("second"), "the second token is in force");
        follow(None).await;
        follow(Some("")).await;
        assert!(!token.replace("second"), "neither a missing nor an empty file changes that");
    }

    /// What `up` with these arguments tells its runs.
    #[track_caller]
    fn check(arguments: &[&str], expected: &[&str]) {
        let cli = Cli::try_parse_from(["datalake", "up"].iter().chain(arguments)).unwrap();
        let Command::Up(up) = cli.command else { panic!("{cli:?}") };
        let told = run_arguments(&up.lake, up.policy, cli.log.as_deref());
        assert_eq!(told, expected.iter().map(OsString::from).collect::<Vec<_>>());
        let read = Cli::try_parse_from([OsString::from("datalake")].into_iter().chain(told)).unwrap();
        let Command::Process(process) = read.command else {
            panic!("{read:?}")
        };
        assert_eq!((process.lake.lake, read.log), (up.lake.lake, cli.log));
    }

    #[test]
    fn a_run_is_told_all_that_the_server_was_told() {
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
                "--single-writer",
            ],
        );
    }
}
