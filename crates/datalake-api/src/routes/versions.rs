//! What changed when, and by which run.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::{IntoResponse, Response},
};
use datalake_core::report::{Counts, RunId};
use datalake_table::delta::version::{Author, VersionFacts};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    limits::requests::StoreReadPermit,
    problem::{Problem, document::ProblemDocument},
    request::{
        query_string::Pairs,
        snapshot::{NewestParameters, Reading},
    },
    routes::run_document::CountsDocument,
    snapshots::versions::{PastVersions, RetainedVersions},
};

/// Two days of hourly runs.
const VERSIONS_DEFAULT: usize = 50;

/// Each version is an entry to read once, and some 600 bytes of the answer.
pub const VERSIONS_MAX: usize = 1_000;

/// The versions of the table that its log reaches back to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Versions)]
struct VersionsDocument {
    /// The newest.
    newest: u64,
    /// The oldest that the log reaches back to; of one that was replaced over a week ago the rows may be gone all the same.
    oldest: u64,
    /// Versions in this answer.
    count: usize,
    /// The newest first.
    versions: Vec<VersionDocument>,
}

/// A version of the table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
struct VersionDocument {
    /// From 0; each commit adds 1.
    version: u64,
    /// When it was committed, by the clock of its writer.
    #[schema(value_type = String, format = DateTime, example = "2026-11-24T12:00:00Z")]
    committed_at: Timestamp,
    /// `run`, `other_engine`, or `unknown` where its entry is gone and only a checkpoint is left.
    #[schema(example = "run")]
    made_by: &'static str,
    /// The run that made it; null unless a run did.
    #[schema(required, value_type = Option<String>, example = "datalake-processor-29384756")]
    run_id: Option<RunId>,
    /// What was done, in Delta's words; null where the entry does not say.
    #[schema(required, value_type = Option<String>, example = "MERGE")]
    operation: Option<Box<str>>,
    /// What the run found and did; `added`, `changed` and `removed` are rows. Null unless a run made the version.
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

/// What `/versions` is asked.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the limit is parsed below; this describes it")]
pub struct VersionsParameters {
    /// The maximum number of versions in the response.
    #[param(minimum = 1, maximum = 1000, default = 50, example = 50)]
    limit: Option<u16>,
}

/// How many versions are asked for.
#[derive(Debug)]
pub struct Limit(pub usize);

impl<S: Send + Sync> FromRequestParts<S> for Limit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        pairs.check_newest(&["limit", "min_version", "wait"])?;
        Ok(Self(pairs.limit(VERSIONS_DEFAULT, VERSIONS_MAX, "")?))
    }
}

/// The versions of the table.
///
/// The versions, the newest first: when each was committed, by which run, and what that run did.
#[utoipa::path(
    get,
    path = "/versions",
    operation_id = "listVersions",
    tag = "data",
    params(VersionsParameters, NewestParameters),
    responses(
        (status = 200, description = "The versions", body = VersionsDocument),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "`min_version` did not come in time", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "There is no table yet, or the store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    Limit(limit): Limit,
    reading: Reading,
    _: StoreReadPermit,
    State(past): State<PastVersions>,
) -> Result<Response, Problem> {
    let RetainedVersions { newest, oldest, facts } = past.retained(limit).await?;
    let document = VersionsDocument {
        newest,
        oldest,
        count: facts.len(),
        versions: facts.into_iter().map(VersionDocument::from).collect(),
    };
    Ok((reading.age(), Json(document)).into_response())
}
