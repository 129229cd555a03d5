//! The snapshot that a request reads. A request selects it once: the latest version, or another one by its parameters.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderName, HeaderValue, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use datalake_core::{
    calendar::Day,
    clock::{Clock, whole_seconds},
    query::{
        as_of::{MinVersion, TimeTravel, VersionSelector},
        error::QueryError,
    },
};
use datalake_http::{client_limits::RequestClient, conditional::Validators};
use datalake_runs::runs::Runs;
use datalake_table::memory::snapshot::Snapshot;
use jiff::{Timestamp, tz::TimeZone};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use crate::{
    digest::{text_digest, version_digest},
    limits::{requests::WaitLimit, scan_pool::ScanPool},
    problem::Problem,
    request::{
        auth::Caller,
        cursor::{self, CURSOR},
        query_string::QueryString,
        version_reader::VersionReader,
    },
    routes::{run_document::RunDocument, run_redaction},
    snapshots::{
        error::VersionError,
        watch::{TableState, TableWatch},
    },
    state::ApiState,
};

/// The version of the table.
const VERSION: HeaderName = HeaderName::from_static("datalake-version");
/// Seconds since the version was committed.
const VERSION_AGE: HeaderName = HeaderName::from_static("datalake-version-age");
/// Seconds since the store last confirmed that no version is newer than the latest in memory.
const CHECKED_AGE: HeaderName = HeaderName::from_static("datalake-checked-age");

/// The parameters of reads that can select any version.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`TimeTravel::parse` parses the parameters; this describes them")]
pub struct TimeTravelParameters {
    /// The version of the table to read. The response is a 404 if the version does not exist yet, and a 410 if it has expired: a version is
    /// kept for a week after it is superseded.
    #[param(example = 0)]
    version: Option<u64>,
    /// Reads the latest version that was committed at or before this time: an RFC 3339 timestamp, or a day, which means its end (UTC).
    /// Cannot be combined with `version`. It does not change the day `on`, on which ages are computed.
    #[param(
        pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$",
        example = "2026-11-24T12:00:00Z"
    )]
    as_of: Option<String>,
    /// The oldest version that the response may show. The response shows the latest version, or is a 409 if that is older. Cannot be
    /// combined with `version` or `as_of`.
    #[param(example = 0)]
    min_version: Option<u64>,
    /// How long to wait for `min_version`, such as `30s` or `500ms`, at most `60s`. By default, the server does not wait.
    #[param(pattern = "^0*(([0-5]?[0-9]|60)s|([0-5]?[0-9]{1,4}|60000)ms)$", example = "5s")]
    wait: Option<String>,
}

/// The parameters of reads that show only the latest version.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`TimeTravel::parse` parses the parameters; this describes them")]
pub struct NewestVersionParameters {
    /// The oldest version that the response may show. The response shows the latest version, or is a 409 if that is older. Cannot be
    /// combined with `version` or `as_of`.
    #[param(example = 0)]
    min_version: Option<u64>,
    /// How long to wait for `min_version`, such as `30s` or `500ms`, at most `60s`. By default, the server does not wait.
    #[param(pattern = "^0*(([0-5]?[0-9]|60)s|([0-5]?[0-9]{1,4}|60000)ms)$", example = "5s")]
    wait: Option<String>,
}

/// The snapshot that a request reads, and the time at which it was selected.
#[derive(Clone, Debug)]
pub struct SelectedSnapshot {
    /// The selected version.
    pub snapshot: Arc<Snapshot>,
    /// Runs scans of the snapshot.
    pub scan_pool: ScanPool,
    now: Timestamp,
    checked_at: Timestamp,
}

impl SelectedSnapshot {
    /// Selects the snapshot by these parameters instead of those of the request.
    pub async fn of_query(parts: &mut Parts, state: &ApiState, query: &QueryString) -> Result<Self, Problem> {
        let cursor_version = query.get(CURSOR).map(cursor::version_of).transpose()?;
        Self::select(parts, state, query, cursor_version).await
    }

    /// Selects the snapshot of a request, and waits for it if the parameters specify a wait. `cursor_version` is the version that a cursor is
    /// bound to.
    pub(crate) async fn select(
        parts: &mut Parts,
        state: &ApiState,
        query: &QueryString,
        cursor_version: Option<u64>,
    ) -> Result<Self, Problem> {
        let time_travel = TimeTravel::parse(query.iter())?;
        if cursor_version.is_some() && time_travel != TimeTravel::default() {
            return Err(QueryError::value(
                CURSOR,
                "cannot be combined with version, as_of, min_version or wait: it selects a version itself",
            )
            .into());
        }
        let watch = TableWatch::from_ref(state);
        if let Some(min_version) = time_travel.min_version {
            let shutdown = Runs::from_ref(state).shutdown();
            let client = RequestClient::from_extensions(&parts.extensions);
            wait_for_version(&watch, min_version, &WaitLimit::from_ref(state), &client, &shutdown).await?;
        }
        let status = watch.status();
        let now = Clock::from_ref(state).now();
        match &status.state {
            TableState::Loaded(newest) => {
                let Ok(reader) = VersionReader::from_request_parts(parts, state).await;
                let selector = cursor_version.map_or(time_travel.selector, VersionSelector::Version);
                let snapshot = reader.select(selector, newest, now).await;
                let snapshot = snapshot.map_err(|error| match cursor_version {
                    Some(_) => cursor_problem(error),
                    None => error.into(),
                })?;
                Ok(Self {
                    snapshot,
                    scan_pool: ScanPool::from_ref(state),
                    now,
                    checked_at: status.checked_at.unwrap_or(now),
                })
            }
            TableState::Missing => {
                let run = Runs::from_ref(state).newest_cached(1).await.into_iter().next();
                let Ok(caller) = Caller::from_request_parts(parts, state).await;
                Err(Problem::NoTable {
                    run: run.map(|run| Box::new(RunDocument::from(run_redaction::for_caller(run, caller)))),
                })
            }
            TableState::Loading => Err(Problem::TableNotLoaded),
        }
    }

    /// The day on which ages are computed: the requested one, or today.
    pub fn day(&self, on: Option<Day>) -> Day {
        on.unwrap_or_else(|| Day::of(self.now))
    }

    /// The validators of a response. `identity` identifies the query and the format. `day` is the day on which ages are computed, if the
    /// response depends on it; `is_today` is true if the query has no `on` parameter.
    pub fn validators(&self, identity: &str, day: Option<Day>, is_today: bool) -> Validators {
        let version = self.snapshot.version();
        let computed_on = day.map(|day| day.number().to_string()).unwrap_or_default();
        // Another build may encode the same rows as other bytes.
        let build = env!("CARGO_PKG_VERSION");
        let digest = text_digest(&format!("{identity}\n{computed_on}\n{build}"));
        let name = format!("{}-{}-{digest}", version_digest(version), version.number());
        let committed_at = version.committed_at();
        // Ages change at midnight.
        let midnight = day.filter(|_| is_today).and_then(|day| day.date().to_zoned(TimeZone::UTC).ok());
        let modified_at = midnight.map_or(committed_at, |midnight| midnight.timestamp().max(committed_at));
        Validators::new(&name, modified_at, self.now)
    }

    /// The time at which the snapshot was selected.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A copy for another version, selected at the same time.
    #[must_use]
    pub fn with_snapshot(&self, snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, ..self.clone() }
    }

    /// The headers that state the version and its age.
    pub fn freshness_headers(&self) -> FreshnessHeaders {
        let version = self.snapshot.version();
        FreshnessHeaders {
            version: version.number(),
            version_age: whole_seconds(version.committed_at(), self.now),
            checked_age: whole_seconds(self.checked_at, self.now),
        }
    }
}

impl FromRequestParts<ApiState> for SelectedSnapshot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let query = QueryString::of(parts)?;
        Self::of_query(parts, state, &query).await
    }
}

/// A cursor names a version that existed. If it does not exist now, it has expired or belongs to another table.
fn cursor_problem(error: VersionError) -> Problem {
    match error {
        VersionError::NotYet { .. } | VersionError::BeforeFirst | VersionError::Gone => Problem::CursorGone,
        error => error.into(),
    }
}

/// Waits until the latest version in memory is at least the requested one. Without a table it returns at the timeout, and the caller
/// reports why there is none.
async fn wait_for_version(
    watch: &TableWatch,
    requested: MinVersion,
    limit: &WaitLimit,
    client: &RequestClient,
    shutdown: &CancellationToken,
) -> Result<(), Problem> {
    let mut versions = watch.versions();
    let is_reached = |newest: &Option<u64>| newest.is_some_and(|newest| newest >= requested.number);
    if is_reached(&versions.borrow()) {
        return Ok(());
    }
    let _permit = limit.permit(client)?;
    tokio::select! {
        reached = tokio::time::timeout(requested.wait, versions.wait_for(is_reached)) => if reached.is_ok() {
            return Ok(());
        },
        () = shutdown.cancelled() => return Err(Problem::ShuttingDown),
    }
    let newest = *versions.borrow();
    newest.map_or(Ok(()), |newest| {
        Err(Problem::VersionNotReached {
            requested: requested.number,
            newest,
        })
    })
}

/// The headers that state the version of a response and its age.
#[derive(Clone, Copy, Debug)]
pub struct FreshnessHeaders {
    version: u64,
    version_age: u64,
    checked_age: u64,
}

impl IntoResponseParts for FreshnessHeaders {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let headers = response.headers_mut();
        headers.insert(VERSION, HeaderValue::from(self.version));
        headers.insert(VERSION_AGE, HeaderValue::from(self.version_age));
        headers.insert(CHECKED_AGE, HeaderValue::from(self.checked_age));
        Ok(response)
    }
}
