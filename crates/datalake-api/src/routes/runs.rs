//! `POST /data` and `/runs`: starting runs and looking at them.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRef, FromRequest, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use datalake_core::report::RunId;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::{
    limits::requests::{StoreReadLimit, StoreReadPermit, WaitLimit},
    problem::{Problem, document::ProblemDocument},
    request::{
        auth::{Access, Caller, MayRun},
        query_string::{NoParameters, Pairs, Segment},
    },
    routes::{
        parameters::RunPath,
        run_document::RunView,
        run_redaction,
        start_body::{self, StartRun},
    },
    snapshots::watch::TableWatch,
};
use datalake_core::clock::Clock;
use datalake_http::{clients::RequestClient, prefer};
use datalake_runs::{
    idempotency::IdempotencyKey,
    run::{Run, RunParameters, Trigger},
    runs::{Completeness, RUNS_MAX, Runs},
};

/// Once a run has ended, the answer is held back until its result can be read here, but not for a store that has just gone away.
const REFRESH_MAX: Duration = Duration::from_secs(5);

/// Two days of hourly runs.
const RUNS_DEFAULT: usize = 50;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Says that runs of other servers, since the store last answered, are missing.
const RUNS_STALE: HeaderName = HeaderName::from_static("datalake-runs-stale");

/// Runs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunsBody {
    /// Runs in this answer.
    count: usize,
    /// The newest first.
    runs: Vec<RunView>,
}

/// The headers of `POST /data`, for the description alone.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the headers are parsed below; this describes them")]
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

/// What the client of `POST /data` requests.
#[derive(Debug)]
pub struct StartRequest {
    key: Option<IdempotencyKey>,
    parameters: RunParameters,
    wait: Option<Duration>,
    /// For the body, which may be slow, and for what is read to start the run.
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
        MayRun::from_request_parts(&mut parts, state).await?;
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
    let refusal = Problem::Header {
        name: "Idempotency-Key",
        reason: "must be given once, with 1 to 255 visible ASCII characters",
    };
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(refusal),
        (Some(value), None) => {
            let key = value.to_str().ok().and_then(|text| IdempotencyKey::parse(text).ok());
            key.map(Some).ok_or(refusal)
        }
    }
}

/// Starts a run.
///
/// Starts a run, or joins one that begins to read after this request. Its result reflects everything that was stored before the request.
#[utoipa::path(
    post,
    path = "/data",
    operation_id = "startRun",
    tag = "runs",
    request_body(content = StartRun, description = "What the run does. Without a body, it is an incremental run."),
    params(StartParameters),
    responses(
        (status = 202, description = "The run, which was started or joined", body = RunView, headers(
            ("Location" = String, description = "Where the run is found"),
            ("Preference-Applied" = String, description = "`wait=N` where the answer waited"),
        )),
        (status = 400, description = "A malformed body, header or parameter", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "This server needs a token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "A browser sent the request for a page of another site", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive within 10 seconds", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The run of `allow_mass_delete_of` has not ended", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "The body is no JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The key was used with another body, or the run of `allow_mass_delete_of` has no blocked deletions", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Three runs are active, and none of them begins to read after this request; `Retry-After` says when to retry", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 501, description = "This server starts no runs", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 502, description = "The run could not be started", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The server is shutting down or too busy, or the store does not answer; `Retry-After` says when to retry", body = ProblemDocument, content_type = "application/problem+json"),
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
    // To wait is a preference: where too many requests wait, the response shows the run as it is.
    let permit = wait.and_then(|_| limit.permit(&client).ok());
    let wait = wait.filter(|_| permit.is_some());
    if let Some(wait) = wait {
        run = wait_for_result(&runs, &table, run, wait).await;
    }
    let location = [(header::LOCATION, format!("/runs/{}", run.run_id))];
    let applied = wait.and_then(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok());
    let applied: HeaderMap = applied.map(|value| (PREFERENCE_APPLIED, value)).into_iter().collect();
    let body = Json(RunView::with_notices(run));
    Ok((StatusCode::ACCEPTED, location, applied, body).into_response())
}

/// Waits for the run's end and, where it has come in time, until the run's result can be read here.
async fn wait_for_result(runs: &Runs, table: &TableWatch, run: Run, wait: Duration) -> Run {
    let run = runs.wait_for_end(run, Instant::now() + wait).await;
    if !run.state.is_active() {
        // Where this takes longer, the watch goes on in its own time.
        let _ = tokio::time::timeout(REFRESH_MAX, table.refresh_now()).await;
    }
    run
}

/// The parameters of `/runs`, for the description alone.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the limit is parsed below; this describes it")]
pub struct RunsParameters {
    /// The maximum number of runs in the response.
    #[param(minimum = 1, maximum = 1000, default = 50, example = 50)]
    limit: Option<u16>,
}

/// How many runs are asked for.
#[derive(Debug)]
pub struct Limit(pub usize);

impl<S: Send + Sync> FromRequestParts<S> for Limit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        pairs.check(&["limit"])?;
        Ok(Self(pairs.limit(RUNS_DEFAULT, RUNS_MAX, "")?))
    }
}

/// The runs.
///
/// The newest runs, the newest first, regardless of how they were started.
#[utoipa::path(
    get,
    path = "/runs",
    operation_id = "listRuns",
    tag = "runs",
    params(RunsParameters),
    responses(
        (status = 200, description = "The runs; `datalake-runs-stale: true` where only those read before, and this server's own, can be told", body = RunsBody),
        (status = 400, description = "An unknown or malformed parameter", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_runs(Limit(limit): Limit, caller: Caller, _: StoreReadPermit, State(history): State<Runs>) -> Response {
    let (runs, completeness) = history.newest(limit).await;
    let runs: Vec<_> = runs
        .into_iter()
        .map(|run| RunView::from(run_redaction::for_caller(run, caller)))
        .collect();
    let body = Json(RunsBody { count: runs.len(), runs });
    match completeness {
        Completeness::Complete => body.into_response(),
        Completeness::StoreUnavailable => ([(RUNS_STALE, "true")], body).into_response(),
    }
}

/// One run.
///
/// The run with its state, its counts, and the first hundred remarks and rejects.
#[utoipa::path(
    get,
    path = "/runs/{run_id}",
    operation_id = "showRun",
    tag = "runs",
    params(RunPath),
    responses(
        (status = 200, description = "The run", body = RunView),
        (status = 404, description = "No such run", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn show_run(
    Segment(run_id): Segment,
    _: NoParameters,
    caller: Caller,
    _: StoreReadPermit,
    State(history): State<Runs>,
) -> Result<Json<RunView>, Problem> {
    let run_id = RunId::parse(&run_id).map_err(|_| Problem::NoSuchRun)?;
    let run = history.find(&run_id).await.map_err(|_| Problem::StoreUnavailable)?;
    run.map(|run| Json(RunView::with_notices(run_redaction::for_caller(run, caller))))
        .ok_or(Problem::NoSuchRun)
}

/// Stops a run.
///
/// Requests an active run to end. Changes that it has not committed are left to the next run.
#[utoipa::path(
    delete,
    path = "/runs/{run_id}",
    operation_id = "stopRun",
    tag = "runs",
    params(RunPath),
    responses(
        (status = 202, description = "The run, which is about to end", body = RunView),
        (status = 401, description = "This server needs a token", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "A browser sent the request for a page of another site", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such run", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The run has ended", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 501, description = "This server starts and stops no runs", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 502, description = "The run could not be stopped", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn stop_run(
    _: MayRun,
    Segment(run_id): Segment,
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
    Ok((StatusCode::ACCEPTED, Json(RunView::from(run))).into_response())
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
    fn idempotency_keys() {
        check_key(&[], true);
        check_key(&["a-1"], true);
        check_key(&[""], false);
        check_key(&["a b"], false);
        check_key(&["é"], false);
        check_key(&["a", "a"], false);
    }
}
