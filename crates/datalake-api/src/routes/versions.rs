//! `GET /versions`: the versions of the table.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use datalake_core::run::{Counts, RunId};
use datalake_table::delta::version::{Author, VersionFacts};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    limits::requests::StoreReadPermit,
    problem::{Problem, responses::NewestReadProblems},
    request::{parameters::Limit, selected_snapshot::NewestVersionParameters, table_read::NewestRead},
    routes::run_document::CountsDocument,
    snapshots::versions::{RetainedVersions, Versions},
};

/// Two days of hourly runs.
const VERSIONS_DEFAULT: usize = 50;

/// Each version needs one read of a log entry, and about 600 bytes of the response.
pub const VERSIONS_MAX: usize = 1_000;

/// The versions in the log of the table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Versions)]
struct VersionsDocument {
    /// The latest version.
    newest: u64,
    /// The oldest version in the log. The rows of a version that was superseded more than a week ago may be removed.
    oldest: u64,
    /// The number of versions in the response.
    count: usize,
    /// The versions, latest first.
    versions: Vec<VersionDocument>,
}

/// A version of the table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
struct VersionDocument {
    /// The number of the version. The first is 0; each commit adds 1.
    version: u64,
    /// The time of the commit, by the clock of its writer.
    #[schema(value_type = String, format = DateTime, example = "2026-11-24T12:00:00Z")]
    committed_at: Timestamp,
    /// The author of the commit: `run`, `other_engine`, or `unknown` if only a checkpoint is left of the version.
    #[schema(example = "run")]
    made_by: &'static str,
    /// The run that committed the version; null if no run did.
    #[schema(required, value_type = Option<String>, example = "datalake-processor-29384756")]
    run_id: Option<RunId>,
    /// The operation in Delta Lake's terms; null if the log entry names none.
    #[schema(required, value_type = Option<String>, example = "MERGE")]
    operation: Option<Box<str>>,
    /// The counts of the run; `added`, `changed` and `removed` are rows. Null if no run committed the version.
    #[schema(required, value_type = Option<CountsDocument>)]
    counts: Option<Counts>,
}

impl From<VersionFacts> for VersionDocument {
    fn from(facts: VersionFacts) -> Self {
        Self {
            version: facts.number,
            committed_at: facts.committed_at,
            made_by: match facts.author {
                Author::Run => "run",
                Author::OtherEngine => "other_engine",
                Author::Unknown => "unknown",
            },
            run_id: facts.run_id,
            operation: facts.operation,
            counts: facts.counts,
        }
    }
}

/// The parameters of `/versions`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`Limit` parses the parameter; this describes it")]
pub struct VersionsParameters {
    /// The maximum number of versions in the response.
    #[param(minimum = 1, maximum = 1000, default = 50, example = 50)]
    limit: Option<u16>,
}

/// List versions
///
/// Returns the versions of the table, latest first: when each was committed, by which run, and the counts of that run.
#[utoipa::path(
    get,
    path = "/versions",
    operation_id = "listVersions",
    tag = "data",
    params(VersionsParameters, NewestVersionParameters),
    responses(
        NewestReadProblems,
        (status = 200, description = "The versions", body = VersionsDocument),
    )
)]
pub(crate) async fn list(
    NewestRead(Limit(limit), read_at): NewestRead<Limit<VERSIONS_DEFAULT, VERSIONS_MAX>>,
    _: StoreReadPermit,
    State(versions): State<Versions>,
) -> Result<Response, Problem> {
    let RetainedVersions { newest, oldest, facts } = versions.retained(limit).await?;
    let document = VersionsDocument {
        newest,
        oldest,
        count: facts.len(),
        versions: facts.into_iter().map(VersionDocument::from).collect(),
    };
    Ok((read_at.freshness_headers(), Json(document)).into_response())
}
