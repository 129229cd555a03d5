//! `POST /data`, `/runs` and `/runs/{run_id}`: starts, lists, shows and stops runs.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRef, FromRequest, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use datalake_core::{clock::Clock, run::RunId};
use datalake_http::{client_limits::RequestClient, prefer};
use datalake_runs::{
    idempotency::IdempotencyKey,
    run::{Run, RunParameters, Trigger},
    runs::{Completeness, RUNS_MAX, Runs},
};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::{
    limits::requests::{StoreReadLimit, StoreReadPermit, WaitLimit},
    problem::{
        Problem,
        document::ProblemDocument,
        responses::{RunProblems, RunReadProblems},
    },
    request::{
        auth::{Access, Caller, RunAuthorization},
        parameters::{Limit, NoParameters},
        path::PathParameter,
    },
    routes::{
        openapi::schemas::RunPath,
        run_document::RunDocument,
        run_redaction,
        start_body::{self, StartRun},
    },
    snapshots::watch::TableWatch,
};

/// After the end of a run, the response waits until its result can be read here, but not for a store that has just become unavailable.
const REFRESH_MAX: Duration = Duration::from_secs(5);

/// Two days of hourly runs.
const RUNS_DEFAULT: usize = 50;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Set if newer runs of other servers may be missing, because the store does not respond.
const RUNS_STALE: HeaderName = HeaderName::from_static("datalake-runs-stale");

/// A list of runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Runs)]
pub struct RunsDocument {
    /// The number of runs in the response.
    count: usize,
    /// The runs, latest first.
    runs: Vec<RunDocument>,
}

/// The headers of `POST /data`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "`StartRequest` parses the headers; this describes them")]
pub struct StartParameters {
    /// Identifies the request: 1 to 255 visible ASCII characters. A repeated request with the same key and body returns the same run.
    #[param(
        rename = "Idempotency-Key",
        value_type = String,
        required = false,
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]+$",
        example = "8e03978e-40d5-43dd-bc93-6894a57f9324"
    )]
    idempotency_key: Option<String>,
    /// `wait=N` waits up to N seconds, at most 60, for the end of the run. Other preferences are ignored.
    #[param(rename = "Prefer", value_type = String, required = false, example = "wait=30")]
    prefer: Option<String>,
}

/// A request to start a run.
#[derive(Debug)]
pub struct StartRequest {
    key: Option<IdempotencyKey>,
    parameters: RunParameters,
    wait: Option<Duration>,
    /// Held while the body is read, which may be slow, and while the store is read to start the run.
    permit: StoreReadPermit,
}

impl<S> FromRequest<S> for StartRequest
where
    S: Send + Sync,
    Access: FromRef<S>,
    StoreReadLimit: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        RunAuthorization::from_request_parts(&mut parts, state).await?;
        let NoParameters = NoParameters::from_request_parts(&mut parts, state).await?;
        let permit = StoreReadPermit::from_request_parts(&mut parts, state).await?;
        let headers = parts.headers;
        let parameters = start_body::read(&headers, body).await?;
        Ok(Self {
            key: idempotency_key(&headers)?,
            parameters,
            wait: prefer::wait(&headers),
            permit,
        })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let error = Problem::Header {
        name: "Idempotency-Key",
        reason: "must be given once, with 1 to 255 visible ASCII characters",
    };
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(error),
        (Some(value), None) => {
            let key = value.to_str().ok().and_then(|text| IdempotencyKey::parse(text).ok());
            key.map(Some).ok_or(error)
        }
    }
}

/// Start a run
///
/// Starts a run, or joins one that begins to read the sources after this request. The result of the run reflects everything that was stored
/// before the request.
#[utoipa::path(
    post,
    path = "/data",
    operation_id = "startRun",
    tag = "runs",
    request_body(content = StartRun, description = "What the run does. Without a body, it is an incremental run."),
    params(StartParameters),
    responses(
        RunProblems,
        (status = 202, description = "The run, which was started or joined", body = RunDocument, headers(
            ("Location" = String, description = "The path of the run"),
            ("Preference-Applied" = String, description = "`wait=N` if the response waited"),
        )),
        (status = 400, description = "The body, a header or a parameter is malformed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive within 10 seconds", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The run of `allow_mass_delete_of` has not ended", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The idempotency key was used with another body, or the run of `allow_mass_delete_of` has no blocked deletions", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Three runs are active, and none of them begins to read after this request; `Retry-After` says when to retry", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn start_run(
    State(runs): State<Runs>,
    State(table): State<TableWatch>,
    State(limit): State<WaitLimit>,
    client: RequestClient,
    request: StartRequest,
) -> Result<Response, Problem> {
    let StartRequest {
        key,
        parameters,
        wait,
        permit,
    } = request;
    let mut run = runs.start(key.as_ref(), parameters, Trigger::Api).await?.run;
    drop(permit);
    // Waiting is only a preference: if too many requests wait, the response shows the current state of the run.
    let permit = wait.and_then(|_| limit.permit(&client).ok());
    let wait = wait.filter(|_| permit.is_some());
    if let Some(wait) = wait {
        run = wait_for_result(&runs, &table, run, wait).await;
    }
    let location = [(header::LOCATION, format!("/runs/{}", run.run_id))];
    let applied = wait.and_then(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok());
    let applied: HeaderMap = applied.map(|value| (PREFERENCE_APPLIED, value)).into_iter().collect();
    let body = Json(RunDocument::with_notices(run));
    Ok((StatusCode::ACCEPTED, location, applied, body).into_response())
}

/// Waits for the end of the run and, if it ends in time, until its result can be read here.
async fn wait_for_result(runs: &Runs, table: &TableWatch, run: Run, wait: Duration) -> Run {
    let run = runs.wait_for_end(run, Instant::now() + wait).await;
    if !run.state.is_active() {
        // If this takes longer, the result becomes visible with a later check.
        let _ = tokio::time::timeout(REFRESH_MAX, table.refresh_now()).await;
    }
    run
}

/// The parameters of `/runs`.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`Limit` parses the parameter; this describes it")]
pub struct RunsParameters {
    /// The maximum number of runs in the response.
    #[param(minimum = 1, maximum = 1000, default = 50, example = 50)]
    limit: Option<u16>,
}

/// List runs
///
/// Returns the latest runs, latest first, regardless of how they were started.
#[utoipa::path(
    get,
    path = "/runs",
    operation_id = "listRuns",
    tag = "runs",
    params(RunsParameters),
    responses(
        (status = 200, description = "The runs. The header `datalake-runs-stale: true` means that the store does not respond, so newer runs of other servers may be missing", body = RunsDocument),
        (status = 400, description = "A parameter is unknown or malformed", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_runs(
    Limit(limit): Limit<RUNS_DEFAULT, RUNS_MAX>,
    caller: Caller,
    _: StoreReadPermit,
    State(history): State<Runs>,
) -> Response {
    let (runs, completeness) = history.newest(limit).await;
    let runs: Vec<_> = runs
        .into_iter()
        .map(|run| RunDocument::from(run_redaction::for_caller(run, caller)))
        .collect();
    let document = Json(RunsDocument { count: runs.len(), runs });
    match completeness {
        Completeness::Complete => document.into_response(),
        Completeness::StoreUnavailable => ([(RUNS_STALE, "true")], document).into_response(),
    }
}

/// Get a run
///
/// Returns the run with its state, its counts, and its first 100 notices and rejects.
#[utoipa::path(
    get,
    path = "/runs/{run_id}",
    operation_id = "showRun",
    tag = "runs",
    params(RunPath),
    responses(
        RunReadProblems,
        (status = 200, description = "The run", body = RunDocument),
    )
)]
pub async fn show_run(
    PathParameter(run_id): PathParameter,
    _: NoParameters,
    caller: Caller,
    _: StoreReadPermit,
    State(history): State<Runs>,
) -> Result<Json<RunDocument>, Problem> {
    let run_id = RunId::parse(&run_id).map_err(|_| Problem::NoSuchRun)?;
    let run = history.find(&run_id).await.map_err(|_| Problem::StoreUnavailable)?;
    run.map(|run| Json(RunDocument::with_notices(run_redaction::for_caller(run, caller))))
        .ok_or(Problem::NoSuchRun)
}

/// Stop a run
///
/// Requests that an active run stop. Uncommitted work is discarded; the next run does it again.
#[utoipa::path(
    delete,
    path = "/runs/{run_id}",
    operation_id = "stopRun",
    tag = "runs",
    params(RunPath),
    responses(
        RunProblems,
        (status = 202, description = "The run, which is stopping", body = RunDocument),
        (status = 404, description = "No run has this ID", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The run has ended", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn stop_run(
    _: RunAuthorization,
    PathParameter(run_id): PathParameter,
    _: NoParameters,
    _: StoreReadPermit,
    State(history): State<Runs>,
) -> Result<Response, Problem> {
    let run_id = RunId::parse(&run_id).map_err(|_| Problem::NoSuchRun)?;
    let find = async || history.find(&run_id).await.map_err(|_| Problem::StoreUnavailable);
    let run = find().await?.ok_or(Problem::NoSuchRun)?;
    if !run.state.is_active() {
        return Err(Problem::RunEnded);
    }
    history.stop(&run_id).await.map_err(|error| match error.into() {
        Problem::LaunchFailed { reason } => Problem::StopFailed { reason },
        problem => problem,
    })?;
    let run = find().await?.unwrap_or(run);
    Ok((StatusCode::ACCEPTED, Json(RunDocument::from(run))).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_key(keys: &[&str], accepted: bool) {
        let headers = keys
            .iter()
            .map(|value| (IDEMPOTENCY_KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect();
        assert_eq!(idempotency_key(&headers).is_ok(), accepted, "keys: {keys:?}");
    }

    #[test]
    fn idempotency_key_has_1_to_255_visible_ascii_characters() {
        check_key(&[], true);
        check_key(&["a-1"], true);
        check_key(&[""], false);
        check_key(&["a b"], false);
        check_key(&["é"], false);
        check_key(&["a", "a"], false);
    }
}
