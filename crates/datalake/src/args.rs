//! Command-line arguments. A flag takes precedence over its environment variable, and the variable over the default.

pub(crate) mod help;
pub(crate) mod read;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, builder::UnknownArgumentValueParser};
use datalake_core::{plan::RejectRatio, run::RunId};
use datalake_http::{allowed_hosts::HostName, cors::Origin, trusted_proxies::ProxyNetwork};
use datalake_processor::options::Writers;
use datalake_store::{
    lake_url::LakeUrl,
    open_options::OpenOptions,
    s3_settings::{Addressing, Endpoint, Region},
};

use self::read::{DoctorArgs, ReadArgs, RunsArgs, StatusArgs};
use crate::{listen::ListenAddress, schedule::Schedule};

/// Turn a bucket with one small file per row into a versioned Delta table, and serve it over HTTP
#[derive(Debug, Parser)]
#[command(name = "datalake", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The log level (off, error, warn, info, debug, trace), or a filter like `info,datalake_table=debug`
    #[arg(long, env = "DATALAKE_LOG", global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// Log debug messages as well, regardless of --log
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Log only errors, regardless of --log
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Cli {
    /// The filter of the log, from `--verbose`, `--quiet` or `--log`.
    pub(crate) fn log_filter(&self) -> Option<&str> {
        match (self.verbose, self.quiet) {
            (true, _) => Some("info,datalake=debug"),
            (false, true) => Some("error"),
            (false, false) => self.log.as_deref(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a lake with 100 sample users in ./demo-lake, process it and serve it
    Demo(DemoArgs),
    /// Serve the API, and process the lake now and on a schedule
    Up(Box<UpArgs>),
    /// Serve the API without scheduled runs
    Serve(ServeArgs),
    /// Create a lake, and upload new or changed sources
    Init(InitArgs),
    /// Run the processor once, or on a schedule
    Process(ProcessArgs),
    /// Rebuild the table from the sources if its log cannot be loaded
    Repair(RepairArgs),
    /// Show the table, the rejected files and the last run of a lake
    Status(StatusArgs),
    /// Show users, with the parameters of GET /data
    Query(ReadArgs),
    /// Show rejected and ignored files, with the parameters of GET /rejects
    Rejects(ReadArgs),
    /// Show runs, or one run, with the parameters of GET /runs
    Runs(RunsArgs),
    /// Show the versions of the table, with the parameters of GET /versions
    Versions(ReadArgs),
    /// Check settings, permissions, the store, the table and its drift from the sources
    Doctor(DoctorArgs),
    /// Check whether the API is ready, for container health checks
    Healthcheck(HealthcheckArgs),
    /// Print the completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page, or write the man pages of all commands
    Man {
        /// Write a man page for each command to this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct LakeArgs {
    /// The lake's URL
    #[arg(
        long,
        env = "DATALAKE_LAKE",
        value_name = "URL",
        help = "The lake: s3://bucket, s3://bucket/prefix, file:///abs/dir, or the path of a folder"
    )]
    pub(crate) lake: LakeUrl,
    #[command(flatten)]
    pub(crate) s3: S3Args,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct S3Args {
    /// The URL of the S3 server if it is not AWS
    #[arg(
        long = "s3-endpoint",
        env = "DATALAKE_S3_ENDPOINT",
        value_name = "URL",
        help = "The URL of the S3 server if it is not AWS, like http://localhost:9000"
    )]
    pub(crate) endpoint: Option<Endpoint>,
    /// The bucket's region
    #[arg(long = "s3-region", env = "DATALAKE_S3_REGION", value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// Where a request contains the bucket's name
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
    /// In the host name on AWS, in the path if an endpoint is set
    #[default]
    Auto,
    /// In the path: <https://host/bucket/key>
    Path,
    /// In the host name: <https://bucket.host/key>
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
    /// The options for opening a lake.
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
    /// The address and port on which the API listens, like localhost:8080; :8080 listens on all IPv4 interfaces
    #[arg(long, env = "DATALAKE_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: ListenAddress,
    /// Suggests the flag above
    #[arg(long, hide = true, value_parser = UnknownArgumentValueParser::suggest_arg("--listen"))]
    port: Option<String>,
}

/// Limits that apply to every run of a lake, regardless of what triggers it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunPolicyArgs {
    /// The declaration of the sources, instead of dataset.toml in the lake
    #[arg(long, env = "DATALAKE_DATASET", value_name = "FILE")]
    pub(crate) dataset: Option<PathBuf>,
    /// The share of the sources that may be rejected, 0 to 1; above it a run fails and changes nothing
    #[arg(long, env = "DATALAKE_MAX_REJECT_RATIO", value_name = "SHARE", default_value_t)]
    pub(crate) max_reject_ratio: RejectRatio,
    /// Allow a store without conditional writes (only one run may be active)
    #[arg(long, env = "DATALAKE_SINGLE_WRITER", action = ArgAction::SetTrue, value_parser = parse_switch)]
    pub(crate) single_writer: bool,
}

impl RunPolicyArgs {
    /// Whether other runs may be active at the same time.
    pub(crate) fn writers(&self) -> Writers {
        if self.single_writer { Writers::Single } else { Writers::Many }
    }
}

/// The schedule of a server that runs the processor itself.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScheduleArgs {
    /// When the processor runs after its first run at the start, in cron syntax (UTC)
    #[arg(long, env = "DATALAKE_SCHEDULE", value_name = "CRON", default_value = "0 * * * *")]
    pub(crate) schedule: Schedule,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    #[command(flatten)]
    pub(crate) clients: ClientArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,
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
    #[command(flatten)]
    pub(crate) page: PageArgs,
    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ProcessArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Read all sources, not only those that changed
    #[arg(long)]
    pub(crate) full: bool,
    /// Print the plan of a run, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Allow a run that would remove all users, or more than 20 % and more than 10 of them
    #[arg(long)]
    pub(crate) allow_mass_delete: bool,
    /// Allow exactly the removals that this run reported when the guard against mass deletion blocked it
    #[arg(long, value_name = "RUN_ID", value_parser = parse_run_id, conflicts_with_all = ["allow_mass_delete", "schedule"])]
    pub(crate) allow_mass_delete_of: Option<RunId>,
    #[command(flatten)]
    pub(crate) policy: RunPolicyArgs,
    /// The format of the run's report
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
    /// Run now and then on this schedule, in cron syntax (UTC), until a signal arrives
    #[arg(long, value_name = "CRON", conflicts_with = "dry_run")]
    pub(crate) schedule: Option<Schedule>,
    /// The run's ID; generated by default
    #[arg(long, env = "DATALAKE_RUN_ID", value_name = "ID", conflicts_with = "schedule", value_parser = parse_run_id)]
    pub(crate) run_id: Option<RunId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// A table for a terminal
    Table,
    /// One JSON document per run
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
    #[command(flatten)]
    pub(crate) page: PageArgs,
    /// How POST /data starts a run
    #[arg(long, env = "DATALAKE_LAUNCHER", value_name = "LAUNCHER", default_value = "process")]
    pub(crate) launcher: LauncherKind,
    /// The CronJob from whose template --launcher kubernetes creates Jobs
    #[arg(long, env = "DATALAKE_CRONJOB", value_name = "NAME", required_if_eq("launcher", "kubernetes"), value_parser = parse_cron_job)]
    pub(crate) cronjob: Option<String>,
}

/// Connections other than those of direct clients to the API.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClientArgs {
    /// A separate address and port for probes and metrics, with separate limits, like :8081
    #[arg(long, env = "DATALAKE_ADMIN_LISTEN", value_name = "HOST:PORT")]
    pub(crate) admin_listen: Option<ListenAddress>,
    /// A network of trusted proxies
    #[arg(
        long = "trusted-proxies",
        env = "DATALAKE_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ',',
        help = "A network of trusted proxies, like 10.0.0.0/8. Limits per client then apply to the client in `Forwarded` or \
                `X-Forwarded-For`. Repeat the flag, or separate networks by commas"
    )]
    pub(crate) trusted_proxies: Vec<ProxyNetwork>,
}

/// What pages show.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PageArgs {
    /// The title of the lake on all pages, visible to every client; the name of the bucket or folder by default
    #[arg(long, env = "DATALAKE_TITLE", value_name = "TEXT")]
    pub(crate) title: Option<String>,
}

/// Which clients may read data and start runs.
#[derive(Clone, Debug, Args)]
pub(crate) struct AccessArgs {
    /// The file with the bearer token that is required to start and stop runs, and to see their details
    #[arg(long, env = "DATALAKE_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How to get the token; this text is shown to every client without it, so name no internals
    #[arg(long, env = "DATALAKE_TOKEN_HINT", value_name = "TEXT", requires = "token_file")]
    pub(crate) token_hint: Option<String>,
    /// Require the token for reads as well, except for health, readiness and metrics; browsers get a sign-in page
    #[arg(long, env = "DATALAKE_PROTECT_READS", action = ArgAction::SetTrue, value_parser = parse_switch)]
    pub(crate) protect_reads: bool,
    /// A site that may read responses in a browser
    #[arg(
        long = "cors-origin",
        env = "DATALAKE_CORS_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ',',
        help = "A site that may read responses in a browser, like https://app.example.com. Repeat the flag, or separate sites by commas"
    )]
    pub(crate) cors_origins: Vec<Origin>,
    /// A host name of the API
    #[arg(
        long = "allowed-hosts",
        env = "DATALAKE_ALLOWED_HOSTS",
        value_name = "HOST",
        value_delimiter = ',',
        help = "A host name of the API, like data.example.com. Requests for other host names are rejected; IP addresses are always \
                allowed. Repeat the flag, or separate names by commas. Default: localhost if the API listens on a loopback address, \
                otherwise any name"
    )]
    pub(crate) allowed_hosts: Vec<HostName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LauncherKind {
    /// As a child process
    Process,
    /// As a Job, from the template of a CronJob
    Kubernetes,
    /// Never: POST /data fails
    None,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Upload the sources in this folder, and their files
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Upload this declaration of the sources as dataset.toml
    #[arg(long, env = "DATALAKE_DATASET", value_name = "FILE")]
    pub(crate) dataset: Option<PathBuf>,
    /// Upload the 100 sample users, unless the lake has a table or another dataset
    #[arg(long, conflicts_with = "from")]
    pub(crate) samples: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// Rebuild without confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) policy: RunPolicyArgs,
    /// The format of the run's report
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: OutputFormat,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct HealthcheckArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    /// The URL to check, which must return status 200; by default /readyz of the API
    #[arg(long, value_name = "URL", value_parser = parse_http_url)]
    pub(crate) url: Option<hyper::Uri>,
}

/// Parses the variable of a flag without a value.
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

fn parse_run_id(text: &str) -> Result<RunId, datalake_core::run::RunIdError> {
    RunId::parse(text)
}

/// A unique run ID that sorts by time.
#[expect(clippy::disallowed_methods, reason = "the only place that generates run IDs")]
pub(crate) fn new_run_id(now: jiff::Timestamp) -> RunId {
    let unique = uuid::Uuid::now_v7().simple().to_string();
    let tail = &unique[unique.len() - 8..];
    RunId::parse(&format!("run-{}-{tail}", now.strftime("%Y%m%dt%H%M%Sz"))).expect("the ID consists of digits, letters and hyphens")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn argument_definitions_are_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_ids_are_unique_and_start_with_the_time() {
        let now = "2026-11-24T08:00:00Z".parse().unwrap();
        assert!(new_run_id(now).as_str().starts_with("run-20261124t080000z-"));
        assert_ne!(new_run_id(now), new_run_id(now));
    }
}
