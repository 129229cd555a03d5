//! The snapshot that a request is answered from, picked once per request.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderName, HeaderValue, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use datalake_core::user::Day;
use datalake_table::snapshot::Snapshot;
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    clock::{Clock, whole_seconds},
    cursor,
    problem::Problem,
    run_history::RunHistory,
    run_view::RunView,
    table_watch::{Held, TableWatch},
    validators::Validators,
};

/// The version of the table that the answer is of.
const VERSION: HeaderName = HeaderName::from_static("datalake-version");
/// Seconds since that version was committed.
const VERSION_AGE: HeaderName = HeaderName::from_static("datalake-version-age");
/// Seconds since the store last said that nothing is newer.
const CHECKED_AGE: HeaderName = HeaderName::from_static("datalake-checked-age");

/// A snapshot, and the moment at which it was picked.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) snapshot: Arc<Snapshot>,
    now: Timestamp,
    checked_at: Timestamp,
}

impl Reading {
    /// The day on which ages are counted.
    pub(crate) fn day(&self, on: Option<Day>) -> Day {
        on.unwrap_or_else(|| Day::of(self.now))
    }

    /// What names the answer to a question. `identity` words the question and the format; `day` is that on which ages are counted, none
    /// where the answer does not depend on it, and `is_today` says that the question left it open.
    pub(crate) fn validators(&self, identity: &str, day: Option<Day>, is_today: bool) -> Validators {
        let version = self.snapshot.version();
        let counted_on = day.map(|day| day.number().to_string()).unwrap_or_default();
        let digest = cursor::digest(&format!("{identity}\n{counted_on}"));
        let name = format!("{}-{}-{digest}", cursor::table(version), version.number());
        let committed_at = version.committed_at();
        // Everybody grows older at midnight.
        let midnight = day.filter(|_| is_today).and_then(|day| day.date().to_zoned(TimeZone::UTC).ok());
        let modified_at = midnight.map_or(committed_at, |midnight| midnight.timestamp().max(committed_at));
        Validators::new(&name, modified_at)
    }

    /// The headers that tell how old the answer is.
    pub(crate) fn age(&self) -> ReadingAge {
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
    RunHistory: FromRef<S>,
    Clock: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, state: &S) -> Result<Self, Problem> {
        let table = TableWatch::from_ref(state).state();
        let now = Clock::from_ref(state).now();
        match &table.held {
            Held::Snapshot(snapshot) => Ok(Self {
                snapshot: Arc::clone(snapshot),
                now,
                checked_at: table.checked_at.unwrap_or(now),
            }),
            Held::NoTable => {
                let run = RunHistory::from_ref(state).newest_known().await;
                Err(Problem::NoTable {
                    run: run.map(|run| Box::new(RunView::from(run))),
                })
            }
            Held::Unknown => Err(Problem::TableUnknown),
        }
    }
}

/// How old an answer is, as headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadingAge {
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
