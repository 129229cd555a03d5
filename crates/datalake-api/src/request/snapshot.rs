//! The snapshot that a request is answered from, picked once per request: the newest, or that of the moment asked for.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderName, HeaderValue, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use datalake_core::{
    query::{
        as_of::{MinVersion, TimeTravel, VersionSelector},
        error::QueryError,
    },
    user::Day,
};
use datalake_table::memory::snapshot::Snapshot;
use jiff::{Timestamp, tz::TimeZone};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use crate::{
    limits::requests::{StoreReadLimit, WaitLimit},
    problem::Problem,
    request::{
        auth::{Access, Caller},
        cursor::{self, CURSOR},
        query_string::Pairs,
        version_reads::PastReads,
    },
    routes::{run_document::RunView, run_redaction},
    snapshots::{
        error::PastError,
        versions::PastVersions,
        watch::{Held, TableWatch},
    },
};
use datalake_core::clock::{Clock, whole_seconds};
use datalake_http::{clients::RequestClient, conditional::Validators};
use datalake_runs::runs::Runs;

/// The version of the table that the answer is of.
const VERSION: HeaderName = HeaderName::from_static("datalake-version");
/// Seconds since that version was committed.
const VERSION_AGE: HeaderName = HeaderName::from_static("datalake-version-age");
/// Seconds since the store last said that nothing is newer.
const CHECKED_AGE: HeaderName = HeaderName::from_static("datalake-checked-age");

/// The parameters of every read of any version.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the core parses them; this describes them")]
pub struct MomentParameters {
    /// The version of the table to read. The response is a 404 before that version exists, and a 410 after it is removed: a week after
    /// it is replaced.
    #[param(example = 0)]
    version: Option<u64>,
    /// Reads the newest version that was committed at this time or before: an RFC 3339 timestamp, or a day, which means its end (UTC). Not
    /// together with `version`. Ages are computed on the day `on` nevertheless.
    #[param(
        pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$",
        example = "2026-11-24T12:00:00Z"
    )]
    as_of: Option<String>,
    /// The oldest version that the response may show. The response shows the newest version, or is a 409 if that is older. Not together
    /// with `version` or `as_of`.
    #[param(example = 0)]
    min_version: Option<u64>,
    /// The time to wait for `min_version`, like `30s` or `500ms`, at most `60s`; by default, the server does not wait.
    #[param(pattern = "^0*(([0-5]?[0-9]|60)s|([0-5]?[0-9]{1,4}|60000)ms)$", example = "5s")]
    wait: Option<String>,
}

/// The parameters of every read that is of the newest version alone.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the core parses them; this describes them")]
pub struct NewestParameters {
    /// The oldest version that the response may show. The response shows the newest version, or is a 409 if that is older. Not together
    /// with `version` or `as_of`.
    #[param(example = 0)]
    min_version: Option<u64>,
    /// The time to wait for `min_version`, like `30s` or `500ms`, at most `60s`; by default, the server does not wait.
    #[param(pattern = "^0*(([0-5]?[0-9]|60)s|([0-5]?[0-9]{1,4}|60000)ms)$", example = "5s")]
    wait: Option<String>,
}

/// A snapshot, and the moment at which it was picked.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The version that the request reads.
    pub snapshot: Arc<Snapshot>,
    now: Timestamp,
    checked_at: Timestamp,
}

impl Reading {
    /// The day on which ages are counted.
    pub fn day(&self, on: Option<Day>) -> Day {
        on.unwrap_or_else(|| Day::of(self.now))
    }

    /// What names the answer to a question. `identity` words the question and the format; `day` is that on which ages are counted, none
    /// where the answer does not depend on it, and `is_today` says that the question left it open.
    pub fn validators(&self, identity: &str, day: Option<Day>, is_today: bool) -> Validators {
        let version = self.snapshot.version();
        let counted_on = day.map(|day| day.number().to_string()).unwrap_or_default();
        // Another build may write the same rows in other bytes.
        let build = env!("CARGO_PKG_VERSION");
        let digest = cursor::digest(&format!("{identity}\n{counted_on}\n{build}"));
        let name = format!("{}-{}-{digest}", cursor::state(version), version.number());
        let committed_at = version.committed_at();
        // Everybody grows older at midnight.
        let midnight = day.filter(|_| is_today).and_then(|day| day.date().to_zoned(TimeZone::UTC).ok());
        let modified_at = midnight.map_or(committed_at, |midnight| midnight.timestamp().max(committed_at));
        Validators::new(&name, modified_at, self.now)
    }

    /// When the snapshot was picked.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The same moment with another version.
    pub fn of(&self, snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, ..*self }
    }

    /// The headers that tell how old the answer is.
    pub fn age(&self) -> ReadingAge {
        let version = self.snapshot.version();
        ReadingAge {
            version: version.number(),
            version_age: whole_seconds(version.committed_at(), self.now),
            checked_age: whole_seconds(self.checked_at, self.now),
        }
    }
}

impl<S> FromRequestParts<S> for Reading
where
    S: Send + Sync,
    TableWatch: FromRef<S>,
    PastVersions: FromRef<S>,
    Runs: FromRef<S>,
    Clock: FromRef<S>,
    WaitLimit: FromRef<S>,
    StoreReadLimit: FromRef<S>,
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        let asked = TimeTravel::parse(pairs.iter())?;
        // Routes that take no cursor have refused it by now.
        let cursor = pairs.get(CURSOR).map(cursor::version_of).transpose()?;
        if cursor.is_some() && asked != TimeTravel::default() {
            return Err(QueryError::value(
                CURSOR,
                "says which version it is of: leave out version, as_of, min_version and wait",
            )
            .into());
        }
        let watch = TableWatch::from_ref(state);
        let client = RequestClient::from_extensions(&parts.extensions);
        if let Some(min_version) = asked.min_version {
            let shutdown = Runs::from_ref(state).shutdown();
            reach(&watch, min_version, &WaitLimit::from_ref(state), &client, &shutdown).await?;
        }
        let table = watch.state();
        let now = Clock::from_ref(state).now();
        match &table.held {
            Held::Snapshot(newest) => {
                let Ok(past) = PastReads::from_request_parts(parts, state).await;
                let moment = cursor.map_or(asked.selector, VersionSelector::Version);
                let snapshot = past.of(moment, newest, now).await;
                let snapshot = snapshot.map_err(|error| if cursor.is_some() { of_cursor(error) } else { error.into() })?;
                Ok(Self {
                    snapshot,
                    now,
                    checked_at: table.checked_at.unwrap_or(now),
                })
            }
            Held::NoTable => {
                let run = Runs::from_ref(state).newest_cached(1).await.into_iter().next();
                let Ok(caller) = Caller::from_request_parts(parts, state).await;
                Err(Problem::NoTable {
                    run: run.map(|run| Box::new(RunView::from(run_redaction::for_caller(run, caller)))),
                })
            }
            Held::Unknown => Err(Problem::TableUnknown),
        }
    }
}

/// A cursor names a version that was there: where it is not any more, or counts on from a table that was made anew, it is gone.
fn of_cursor(error: PastError) -> Problem {
    match error {
        PastError::NotYet { .. } | PastError::BeforeFirst | PastError::Gone => Problem::CursorGone,
        error => error.into(),
    }
}

/// Waits until a version is held that is not older than the one asked for. Where there is none at all, the caller says why.
async fn reach(
    watch: &TableWatch,
    asked: MinVersion,
    limit: &WaitLimit,
    client: &RequestClient,
    shutdown: &CancellationToken,
) -> Result<(), Problem> {
    let mut versions = watch.versions();
    let is_reached = |held: &Option<u64>| held.is_some_and(|held| held >= asked.number);
    if is_reached(&versions.borrow()) {
        return Ok(());
    }
    let _permit = limit.permit(client)?;
    tokio::select! {
        reached = tokio::time::timeout(asked.wait, versions.wait_for(is_reached)) => if reached.is_ok() {
            return Ok(());
        },
        () = shutdown.cancelled() => return Err(Problem::ShuttingDown),
    }
    let held = *versions.borrow();
    held.map_or(Ok(()), |held| Err(Problem::VersionNotReached { asked: asked.number, held }))
}

/// How old an answer is, as headers.
#[derive(Clone, Copy, Debug)]
pub struct ReadingAge {
    version: u64,
    version_age: u64,
    checked_age: u64,
}

impl IntoResponseParts for ReadingAge {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let headers = response.headers_mut();
        headers.insert(VERSION, HeaderValue::from(self.version));
        headers.insert(VERSION_AGE, HeaderValue::from(self.version_age));
        headers.insert(CHECKED_AGE, HeaderValue::from(self.checked_age));
        Ok(response)
    }
}
