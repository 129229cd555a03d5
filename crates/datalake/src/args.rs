//! Arguments: flags beat the environment, the environment beats defaults.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use datalake_core::{plan::RejectRatio, report::RunId};
use datalake_http::{allowed_hosts::HostName, cors::Origin, trusted_proxies::ProxyNetwork};
use datalake_store::{
    endpoint::{Addressing, Endpoint, Region},
    lake_url::LakeUrl,
    open_options::OpenOptions,
};

use crate::{listen::ListenAddress, schedule::Schedule};

/// One CSV and one picture per user in a bucket become a table that never loses, doubles or delays a row, and that is served.
#[derive(Debug, Parser)]
#[command(name = "datalake", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What is logged: a level (error, warn, info, debug, trace), or a filter like `info,datalake_table=debug`
    #[arg(long, env = "DATALAKE_LOG", global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a lake of 100 sample users in ./demo-lake, process it and serve it
    Demo(DemoArgs),
    /// Serve the lake and run the processor: once now, then on a schedule
    Up(UpArgs),
    /// Run the processor once, or on a schedule
    Process(ProcessArgs),
    /// Serve the API alone
    Serve(ServeArgs),
    /// Make the lake if there is none, and upload sources that are missing or differ
    Init(InitArgs),
    /// Rebuild the table from the sources when its log cannot be loaded
    Repair(RepairArgs),
    /// Exit with 0 when the API is ready: for container health checks
    Healthcheck(HealthcheckArgs),
    /// Print the completions of a shell
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write the pages of all commands
    Man {
        /// Write a page for each command into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LakeArgs {
    /// Where the lake lies
    #[arg(
        long,
        env = "DATALAKE_LAKE",
        value_name = "URL",
        hide_env_values = true,
        help = "The lake: s3://bucket, s3://bucket/prefix, file:///abs/dir, or a folder's path"
    )]
    pub(crate) lake: LakeUrl,
    #[command(flatten)]
    pub(crate) s3: S3Args,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct S3Args {
    /// The S3 server's address where it is not AWS
    #[arg(
        long = "s3-endpoint",
        env = "DATALAKE_S3_ENDPOINT",
        value_name = "URL",
        hide_env_values = true,
        help = "The S3 server's address where it is not AWS, like http://localhost:9000"
    )]
    pub(crate) endpoint: Option<Endpoint>,
    /// The bucket's region
    #[arg(long = "s3-region", env = "DATALAKE_S3_REGION", value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// Where the bucket's name is in the address of a request
    #[arg(
        long = "s3-addressing",
        env = "DATALAKE_S3_ADDRESSING",
        value_name = "STYLE",
        default_value = "auto",
        ignore_case = true
    )]
    pub(crate) addressing: AddressingStyle,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AddressingStyle {
    /// In the host's name at AWS, in the path where an endpoint is set
    #[default]
    Auto,
    /// In the path: <https://host/bucket/key>
    Path,
    /// In the host's name: <https://bucket.host/key>
    Virtual,
}

impl AddressingStyle {
    fn addressing(self) -> Addressing {
        match self {
            Self::Auto => Addressing::Auto,
            Self::Path => Addressing::Path,
            Self::Virtual => Addressing::Virtual,
        }
    }
}

impl S3Args {
    /// What opening a lake needs of them.
    pub(crate) fn open_options(&self) -> OpenOptions {
        OpenOptions {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            addressing: self.addressing.addressing(),
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ListenArgs {
    /// The address and port that the API listens on, like localhost:8080; :8080 means all IPv4 interfaces
    #[arg(long, env = "DATALAKE_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: ListenAddress,
}

/// What every run of a lake goes by, whoever starts it.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct RunPolicyArgs {
    /// The share of the sources that may be rejected, 0 to 1; above it the run fails and publishes nothing
    #[arg(long, env = "DATALAKE_MAX_REJECT_RATIO", value_name = "SHARE", default_value_t)]
    pub(crate) max_reject_ratio: RejectRatio,
    /// Allow a store without conditional writes (only one run may be active)
    #[arg(long, env = "DATALAKE_SINGLE_WRITER", action = ArgAction::SetTrue, value_parser = parse_switch)]
    pub(crate) single_writer: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    #[command(flatten)]
    pub(crate) clients: ClientArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// When the processor runs, in cron syntax (UTC)
    #[arg(long, env = "DATALAKE_SCHEDULE", value_name = "CRON", default_value = "0 * * * *")]
    pub(crate) schedule: Schedule,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) policy: RunPolicyArgs,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    #[command(flatten)]
    pub(crate) clients: ClientArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// When the processor runs after the first time, in cron syntax (UTC)
    #[arg(long, env = "DATALAKE_SCHEDULE", value_name = "CRON", default_value = "0 * * * *")]
    pub(crate) schedule: Schedule,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ProcessArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Read every source again, not only those that changed
    #[arg(long)]
    pub(crate) full: bool,
    /// Print what a run would do, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on when over 20 % and over 10 of the known users' sources are gone, or all of them
    #[arg(long)]
    pub(crate) allow_mass_delete: bool,
    /// Go on with exactly the removals that this run reported when the guard against mass deletion stopped it
    #[arg(long, value_name = "RUN_ID", value_parser = parse_run_id, conflicts_with_all = ["allow_mass_delete", "schedule"])]
    pub(crate) allow_mass_delete_of: Option<RunId>,
    #[command(flatten)]
    pub(crate) policy: RunPolicyArgs,
    /// How the run's report is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
    /// Keep running: once now, then at these times, in cron syntax (UTC)
    #[arg(long, value_name = "CRON", conflicts_with = "dry_run")]
    pub(crate) schedule: Option<Schedule>,
    /// The run's name; made up where none is given
    #[arg(long, env = "DATALAKE_RUN_ID", value_name = "ID", conflicts_with = "schedule", value_parser = parse_run_id)]
    pub(crate) run_id: Option<RunId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Table,
    /// One JSON document a run
    Json,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) policy: RunPolicyArgs,
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    #[command(flatten)]
    pub(crate) clients: ClientArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// How POST /data starts a run
    #[arg(long, env = "DATALAKE_LAUNCHER", value_name = "LAUNCHER", default_value = "process")]
    pub(crate) launcher: LauncherKind,
    /// The CronJob whose template makes the Jobs of --launcher kubernetes
    #[arg(long, env = "DATALAKE_CRONJOB", value_name = "NAME", required_if_eq("launcher", "kubernetes"), value_parser = parse_cron_job)]
    pub(crate) cronjob: Option<String>,
}

/// How clients reach the server besides the address of the API.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClientArgs {
    /// The address and port for probes and metrics alone, with limits of its own, like :8081
    #[arg(long, env = "DATALAKE_ADMIN_LISTEN", value_name = "HOST:PORT")]
    pub(crate) admin_listen: Option<ListenAddress>,
    /// A proxy that names its clients
    #[arg(
        long = "trusted-proxies",
        env = "DATALAKE_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ',',
        help = "A network of proxies, like 10.0.0.0/8, whose `Forwarded` or `X-Forwarded-For` names the client that limits count; repeat it, \
                or separate by commas"
    )]
    pub(crate) trusted_proxies: Vec<ProxyNetwork>,
}

/// Who may do what over HTTP.
#[derive(Clone, Debug, Args)]
pub(crate) struct AccessArgs {
    /// Starting and stopping runs needs the bearer token in this file, and so do details of runs
    #[arg(long, env = "DATALAKE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How a client gets the token; every client without it gets this text, so name no internals
    #[arg(long, env = "DATALAKE_TOKEN_HINT", value_name = "WORDS", requires = "token_file")]
    pub(crate) token_hint: Option<String>,
    /// Reads need the token, too; browsers get a sign-in page; health, readiness and metrics do not need it
    #[arg(long, env = "DATALAKE_PROTECT_READS", action = ArgAction::SetTrue, value_parser = parse_switch)]
    pub(crate) protect_reads: bool,
    /// Pages of this site may read answers in a browser
    #[arg(
        long = "cors-origin",
        env = "DATALAKE_CORS_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ',',
        help = "Pages of this site may read answers in a browser, like https://app.example.com; repeat it, or separate by commas"
    )]
    pub(crate) cors_origins: Vec<Origin>,
    /// A host name under which the API answers
    #[arg(
        long = "allowed-hosts",
        env = "DATALAKE_ALLOWED_HOSTS",
        value_name = "HOST",
        value_delimiter = ',',
        help = "A host name under which the API answers, like data.example.com; repeat it, or separate by commas. Default: localhost \
                where the API listens on a loopback address, otherwise any. IP addresses are always allowed"
    )]
    pub(crate) allowed_hosts: Vec<HostName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LauncherKind {
    /// As a child process of this one
    Process,
    /// As a Job, made from a CronJob's template
    Kubernetes,
    /// Not at all
    None,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Upload the CSVs and pictures of this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Upload the 100 sample users that this executable carries, unless the lake has a table
    #[arg(long, conflicts_with = "from")]
    pub(crate) samples: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Rebuild without asking
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) policy: RunPolicyArgs,
    /// How the run's report is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct HealthcheckArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    /// Ask this address instead, which has to answer with 200
    #[arg(long, value_name = "URL", value_parser = parse_http_url)]
    pub(crate) url: Option<hyper::Uri>,
}

/// A switch as its variable sets it.
fn parse_switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("must be true, false, 1, 0, yes or no".to_owned()),
    }
}

fn parse_http_url(text: &str) -> Result<hyper::Uri, String> {
    let url = text.parse::<hyper::Uri>().ok();
    let has_user = |url: &hyper::Uri| url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let is_http = |url: &hyper::Uri| url.scheme_str() == Some("http") && url.host().is_some() && !has_user(url);
    url.filter(is_http)
        .ok_or_else(|| "must be like http://127.0.0.1:8080/readyz, without credentials".to_owned())
}

/// A CronJob's name is at most 52 characters long, since Kubernetes appends the time to it for its Jobs.
fn parse_cron_job(text: &str) -> Result<String, String> {
    let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    let is_inner = |byte: &u8| is_end(Some(byte)) || matches!(byte, b'-' | b'.');
    match bytes.len() <= 52 && is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(is_inner) {
        true => Ok(text.to_owned()),
        false => Err("the name of a CronJob has at most 52 lower-case letters, digits, `-` and `.`, like datalake-processor".to_owned()),
    }
}

fn parse_run_id(text: &str) -> Result<RunId, datalake_core::report::RunIdError> {
    RunId::parse(text)
}

/// A run id that sorts by time and that no two runs share.
#[expect(clippy::disallowed_methods, reason = "this is the place that names runs")]
pub(crate) fn new_run_id(now: jiff::Timestamp) -> RunId {
    let unique = uuid::Uuid::now_v7().simple().to_string();
    let tail = &unique[unique.len() - 8..];
    RunId::parse(&format!("run-{}-{tail}", now.strftime("%Y%m%dt%H%M%Sz"))).expect("made of digits, letters and hyphens")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_ids_differ() {
        let now = "2026-11-24T08:00:00Z".parse().unwrap();
        assert!(new_run_id(now).as_str().starts_with("run-20261124t080000z-"));
        assert_ne!(new_run_id(now), new_run_id(now));
    }
}
