//! `datalake serve`, and what `up` shares with it.

use std::{ffi::OsString, sync::Arc, time::Duration};

use anyhow::Context;
use clap::ValueEnum;
use datalake_api::{
    clock::Clock,
    cors::Origin,
    launcher::{
        RunLauncher,
        kubernetes::KubernetesLauncher,
        none::NoLauncher,
        process::{ProcessLauncher, RunCommand},
    },
    metrics::Metrics,
    run_history::RunHistory,
    server::{self, Parts},
    table_watch::TableWatch,
    token::{Access, Token},
};
use datalake_processor::options::Lake;
use datalake_table::table::Table;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    args::{self, AccessArgs, AddressingStyle, LakeArgs, LauncherKind, RunPolicyArgs, ServeArgs},
    clock,
    exit::{self, UsageError},
    listen::ListenAddress,
    signals,
};

/// From the polite request to a run's process to its end by force. A run between commit and report needs seconds.
const RUN_GRACE: Duration = Duration::from_secs(10);

/// Who is let in, and the sites whose pages may read what is answered.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    access: Access,
    cors_origins: Vec<Origin>,
}

/// Serves until a signal comes.
pub(crate) async fn serve(args: ServeArgs, log: Option<&str>) -> anyhow::Result<u8> {
    let admission = admission(&args.access)?;
    let lake = super::open(&args.lake).await?;
    let shutdown = signals::cancelled_by_signals()?;
    let listener = listen(&args.listen.listen).await?;
    match args.launcher {
        LauncherKind::None => answer(listener, lake, Arc::new(NoLauncher::new()), admission, shutdown).await,
        LauncherKind::Process => {
            let launcher = process_launcher(&args.lake, args.policy, log)?;
            answer(listener, lake, Arc::new(launcher.clone()), admission, shutdown).await;
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
                answer(listener, lake, Arc::new(launcher.clone()), admission, shutdown).await;
                following.cancel();
            };
            let ((), ()) = tokio::join!(answering, launcher.follow(following.clone()));
        }
    }
    Ok(0)
}

/// What the arguments say of those who ask.
pub(crate) fn admission(args: &AccessArgs) -> anyhow::Result<Admission> {
    Ok(Admission {
        access: access(args)?,
        cors_origins: args.cors_origins.clone(),
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
    let refused = |reason: String| UsageError(format!("--token-file {}: {reason}", file.display()));
    let text = std::fs::read_to_string(file)
        .map_err(|error| refused(format!("cannot read it: {error}; it must contain the token and nothing else")))?;
    // Editors and `echo` end a file with a line feed, which no header can carry.
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused("it contains no token; a token is visible ASCII characters".to_owned()).into());
    }
    let token = Token::new(token);
    let token = match &args.token_hint {
        Some(hint) => token.with_hint(hint),
        None => token,
    };
    Ok(if args.protect_reads {
        Access::AllNeeds(token)
    } else {
        Access::RunsNeed(token)
    })
}

/// Takes the address before anything else is done, so that a taken one is said at once.
pub(crate) async fn listen(address: &ListenAddress) -> anyhow::Result<TcpListener> {
    let addresses = address.resolve().await.map_err(|error| {
        UsageError(format!(
            "cannot listen on {address}: the host's name cannot be resolved ({error}); use an address of this machine in --listen"
        ))
    })?;
    let listener = TcpListener::bind(addresses.as_slice())
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address or port with --listen"))?;
    raise_open_files();
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
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
    listener: TcpListener,
    lake: Lake,
    launcher: Arc<dyn RunLauncher>,
    admission: Admission,
    shutdown: CancellationToken,
) {
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
    };
    server::serve(listener, parts, hints, shutdown).await;
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
