//! How an open page learns that what it shows has changed: it names the state that it was made of, and is answered once there is another.
//!
//! The answer is never a failure that comes of waiting in vain, as `min_version` has it: browsers write each of those to the console.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tokio::time::Instant;

use datalake_api::{
    digest, freshness,
    limits::requests::WaitPermit,
    problem::Problem,
    request::query_string::QueryString,
    snapshots::watch::{TableState, TableStatus, TableWatch},
};
use datalake_core::clock::Clock;
use datalake_runs::{
    run::Run,
    runs::{RUNS_KEPT_UP, RunHistory},
};

/// Proxies cut what says nothing for half a minute.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// What tells no one that it changes, as the store's failure and the passing of time, is looked at this often.
const LOOK_PERIOD: Duration = Duration::from_secs(2);

/// From here on the hour that is promised is over, where no schedule is known: the alert of the chart waits as long.
const DATA_AGE_MAX: SignedDuration = SignedDuration::from_hours(2);

/// A run that was due so long ago has ended, or does not come any more.
const RUN_MAX: SignedDuration = SignedDuration::from_hours(1);

/// Clocks differ, and a run that began a little early was not before its time.
const CLOCKS_MAX: SignedDuration = SignedDuration::from_mins(5);

/// What is known without asking the store.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) table: Arc<TableStatus>,
    /// The newest first.
    pub(crate) runs: Vec<Run>,
    /// The last time, an hour ago or more, at which a run was due by itself; none where no schedule is known.
    pub(crate) due: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

/// Why the data is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The run that was due then has not confirmed it.
    Run(Timestamp),
    /// The hour that is promised is over.
    Hour,
}

/// Names a state of the lake, as far as a page shows it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// Letters, digits and hyphens.
    pub(crate) name: String,
    /// The version held.
    pub(crate) version: Option<u64>,
    /// When it was looked at.
    pub(crate) now: Timestamp,
}

impl Known {
    pub(crate) async fn gather(table: &TableWatch, runs: &RunHistory, now: Timestamp) -> Self {
        Self {
            table: table.status(),
            runs: runs.newest_known(RUNS_KEPT_UP).await,
            due: runs.last_due(now.saturating_sub(RUN_MAX).unwrap_or(now)).await,
            now,
        }
    }

    /// When the table was last known to be what the sources say; none where there is no table.
    pub(crate) fn confirmed_at(&self) -> Option<Timestamp> {
        match &self.table.state {
            TableState::Loaded(snapshot) => Some(freshness::confirmed_at(snapshot.version().committed_at(), &self.runs)),
            TableState::Missing | TableState::Loading => None,
        }
    }

    /// How long ago that was.
    pub(crate) fn data_age(&self) -> Option<SignedDuration> {
        Some(self.now.duration_since(self.confirmed_at()?))
    }

    /// Why that is too long ago, by the schedule where it is known.
    pub(crate) fn overdue(&self) -> Option<Overdue> {
        let confirmed_at = self.confirmed_at()?;
        match self.due {
            Some(due) => (due.duration_since(confirmed_at) > CLOCKS_MAX).then_some(Overdue::Run(due)),
            None => (self.now.duration_since(confirmed_at) > DATA_AGE_MAX).then_some(Overdue::Hour),
        }
    }

    pub(crate) fn live(&self) -> Live {
        let version = match &self.table.state {
            TableState::Loaded(snapshot) => Some(snapshot.version()),
            TableState::Missing | TableState::Loading => None,
        };
        let held = match &self.table.state {
            TableState::Loaded(snapshot) => digest::version_digest(snapshot.version()),
            TableState::Missing => "none".to_owned(),
            TableState::Loading => "unknown".to_owned(),
        };
        // A report comes after the end that it tells of.
        let state = |run: &Run| format!("{} {} {}\n", run.run_id, run.state.as_str(), run.report.is_some());
        let runs = self.runs.iter().map(state);
        // Everybody is older after midnight.
        let day = self.now.to_zoned(TimeZone::UTC).date();
        let is_failing = self.table.failing_since.is_some();
        let is_old = self.overdue().is_some();
        let text = format!("{held}\n{day}\n{is_failing}\n{is_old}\n{}", runs.collect::<String>());
        let number = version.map(datalake_table::delta::version::Version::number);
        Live {
            name: format!(
                "{}-{}",
                number.map_or("none".to_owned(), |number| number.to_string()),
                digest::text_digest(&text)
            ),
            version: number,
            now: self.now,
        }
    }
}

/// The state that the page was made of.
pub(crate) struct HeldByPage(String);

impl<S: Send + Sync> FromRequestParts<S> for HeldByPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = QueryString::from_request_parts(parts, state).await?;
        pairs.check(&["held"])?;
        Ok(Self(pairs.get("held").unwrap_or_default().to_owned()))
    }
}

/// The name of the present state, as soon as it is another than the page's, or as it is after a while.
pub(crate) async fn wait(
    HeldByPage(held): HeldByPage,
    _: WaitPermit,
    State(table): State<TableWatch>,
    State(runs): State<RunHistory>,
    State(clock): State<Clock>,
) -> Response {
    let deadline = Instant::now() + WAIT_MAX;
    let shutdown = runs.shutdown();
    let mut versions = table.versions();
    let mut launched = runs.launcher_changes();
    let mut reported = runs.reports_read();
    let name = loop {
        versions.mark_unchanged();
        launched.mark_unchanged();
        reported.mark_unchanged();
        let Live { name, .. } = Known::gather(&table, &runs, clock.now()).await.live();
        if name != held || Instant::now() >= deadline || shutdown.is_cancelled() {
            break name;
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep_until(deadline.min(Instant::now() + LOOK_PERIOD)) => {}
            Ok(()) = versions.changed() => {}
            Ok(()) = launched.changed() => {}
            Ok(()) = reported.changed() => {}
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, name).into_response()
}

#[cfg(test)]
mod tests {
    use datalake_core::report::{RunId, RunOutcome, RunReport};

    use super::*;
    use datalake_runs::run::RunState;

    fn known(report: Option<&str>, now: &str) -> Known {
        let report = report.map(|text| Arc::new(serde_json::from_str::<RunReport>(text).unwrap()));
        let run = Run {
            run_id: RunId::parse("a").unwrap(),
            state: RunState::Ended(RunOutcome::Succeeded),
            mode: None,
            parameters: None,
            trigger: None,
            started_at: None,
            ended_at: None,
            error: None,
            log_tail: None,
            report,
        };
        Known {
            table: Arc::default(),
            runs: vec![run],
            due: None,
            now: now.parse().unwrap(),
        }
    }

    #[test]
    fn a_report_and_a_new_day_are_news() {
        const REPORT: &str = r#"{"run_id":"a","outcome":"succeeded","mode":"incremental","started_at":"2026-11-24T11:00:00Z",
            "ended_at":"2026-11-24T11:00:01Z","elapsed_ms":1000,"version":0,"committed":false,"counts":{},"requests":{},"notices":[],"rejects":[]}"#;
        let name = |report, now| known(report, now).live().name;
        let evening = name(None, "2026-11-24T23:59:58Z");
        assert_eq!(name(None, "2026-11-24T23:59:59Z"), evening);
        assert_ne!(name(Some(REPORT), "2026-11-24T23:59:58Z"), evening);
        assert_ne!(name(None, "2026-11-25T00:00:00Z"), evening);
    }
}
