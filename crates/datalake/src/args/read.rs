//! The arguments of commands that read a lake without a server.

use std::path::PathBuf;

use clap::{Args, ValueEnum, builder::UnknownArgumentValueParser};
use datalake_core::run::RunId;

use super::{LakeArgs, parse_run_id, parse_switch};

/// The format of documents that the API has as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// An aligned table for a terminal
    Table,
    /// The JSON document of the API
    Json,
    /// The same rows as CSV
    Csv,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArgs {
    /// The format of the output
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: DocumentFormat,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    pub(crate) parameters: ParameterArgs,
    /// Show this run with its notices, rejects and counts
    #[arg(long, value_name = "RUN_ID", value_parser = parse_run_id, conflicts_with = "parameters")]
    pub(crate) id: Option<RunId>,
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ParameterArgs {
    /// The parameters of the request
    #[arg(
        value_name = "PARAMETERS",
        help = "The parameters of the API's request, like 'limit=5': one argument with & between them, or several arguments"
    )]
    parameters: Vec<String>,
    /// Suggests a parameter
    #[arg(long, hide = true, value_parser = UnknownArgumentValueParser::suggest("parameters have no dashes: write limit=N"))]
    limit: Option<String>,
}

impl ParameterArgs {
    /// The query string.
    pub(crate) fn query_string(&self) -> String {
        self.parameters.join("&")
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,
    /// The declaration of the sources, instead of dataset.toml in the lake
    #[arg(long, env = "DATALAKE_DATASET", value_name = "FILE")]
    pub(crate) dataset: Option<PathBuf>,
    /// Only warn of a store without conditional writes (only one run may be active)
    #[arg(long, env = "DATALAKE_SINGLE_WRITER", action = clap::ArgAction::SetTrue, value_parser = parse_switch)]
    pub(crate) single_writer: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
