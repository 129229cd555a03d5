//! The status of the lake from memory: the table, recent runs and the age of the data, without reading the store.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use datalake_api::{
    digest, freshness,
    snapshots::watch::{TableState, TableStatus, TableWatch},
};
use datalake_runs::{
    run::Run,
    runs::{RUNS_POLLED, Runs},
};
use datalake_table::delta::version::Version;

/// Without a schedule, data is stale after this time: the expected interval of one hour, and another for a run that is late. The chart's
/// alert uses the same value.
const DATA_AGE_MAX: SignedDuration = SignedDuration::from_hours(2);

/// A scheduled run that has not confirmed the data after this time counts as missed.
const RUN_DURATION_MAX: SignedDuration = SignedDuration::from_hours(1);

/// The maximum clock skew. A run that starts up to this long before its scheduled time counts as the scheduled run.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

/// What is in memory about the lake.
#[derive(Clone, Debug)]
pub(crate) struct LakeStatus {
    pub(crate) table: Arc<TableStatus>,
    /// The latest first.
    pub(crate) runs: Vec<Run>,
    /// The last scheduled time at least one hour ago; none without a known schedule.
    pub(crate) last_scheduled: Option<Timestamp>,
    pub(crate) now: Timestamp,
}

/// Why the data is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staleness {
    /// The run that was scheduled for this time has not confirmed the data.
    RunMissed(Timestamp),
    /// No schedule is known, and the expected interval of one hour has passed.
    IntervalExceeded,
}

/// Identifies the state of the lake that a page shows.
#[derive(Clone, Debug)]
pub(crate) struct LakeState {
    /// Letters, digits and hyphens.
    pub(crate) id: String,
    /// The version in memory.
    pub(crate) version: Option<u64>,
    pub(crate) observed_at: Timestamp,
}

impl LakeStatus {
    pub(crate) async fn load(table: &TableWatch, runs: &Runs, now: Timestamp) -> Self {
        Self {
            table: table.status(),
            runs: runs.newest_cached(RUNS_POLLED).await,
            last_scheduled: runs.previous_scheduled(now.saturating_sub(RUN_DURATION_MAX).unwrap_or(now)).await,
            now,
        }
    }

    fn version(&self) -> Option<&Version> {
        match &self.table.state {
            TableState::Loaded(snapshot) => Some(snapshot.version()),
            TableState::Missing | TableState::Loading => None,
        }
    }

    /// When a run last confirmed that the table matches the sources; none without a table.
    pub(crate) fn confirmed_at(&self) -> Option<Timestamp> {
        Some(freshness::confirmed_at(self.version()?.committed_at(), &self.runs))
    }

    /// The time since [`LakeStatus::confirmed_at`].
    pub(crate) fn data_age(&self) -> Option<SignedDuration> {
        Some(self.now.duration_since(self.confirmed_at()?))
    }

    /// Why the data is stale; none if it is not.
    pub(crate) fn staleness(&self) -> Option<Staleness> {
        let confirmed_at = self.confirmed_at()?;
        match self.last_scheduled {
            Some(scheduled) => (scheduled.duration_since(confirmed_at) > CLOCK_SKEW_MAX).then_some(Staleness::RunMissed(scheduled)),
            None => (self.now.duration_since(confirmed_at) > DATA_AGE_MAX).then_some(Staleness::IntervalExceeded),
        }
    }

    /// The state of everything that pages show.
    pub(crate) fn state(&self) -> LakeState {
        let table = match (&self.table.state, self.version()) {
            (_, Some(version)) => digest::version_digest(version),
            (TableState::Loading, None) => "unknown".to_owned(),
            (_, None) => "none".to_owned(),
        };
        // A run's report arrives after the end of the run.
        let run = |run: &Run| format!("{} {} {}\n", run.run_id, run.state.as_str(), run.report.is_some());
        let runs = self.runs.iter().map(run);
        // Ages change at midnight.
        let day = self.now.to_zoned(TimeZone::UTC).date();
        let is_failing = self.table.failing_since.is_some();
        let is_stale = self.staleness().is_some();
        let text = format!("{table}\n{day}\n{is_failing}\n{is_stale}\n{}", runs.collect::<String>());
        let version = self.version().map(Version::number);
        let prefix = version.map_or("none".to_owned(), |version| version.to_string());
        LakeState {
            id: format!("{prefix}-{}", digest::text_digest(&text)),
            version,
            observed_at: self.now,
        }
    }
}

#[cfg(test)]
mod tests {
    use datalake_core::run::{RunId, RunOutcome, RunReport};
    use datalake_runs::run::RunState;

    use super::*;

    fn state_id(report: Option<&str>, now: &str) -> String {
        let report = report.map(|text| Arc::new(serde_json::from_str::<RunReport>(text).unwrap()));
        let run = Run {
            report,
            ..Run::new(RunId::parse("a").unwrap(), RunState::Ended(RunOutcome::Succeeded))
        };
        let status = LakeStatus {
            table: Arc::default(),
            runs: vec![run],
            last_scheduled: None,
            now: now.parse().unwrap(),
        };
        status.state().id
    }

    #[test]
    fn new_report_changes_the_state() {
        const REPORT: &str = r#"{"run_id":"a","outcome":"succeeded","mode":"incremental","started_at":"2026-11-24T11:00:00Z",
            "ended_at":"2026-11-24T11:00:01Z","elapsed_ms":1000,"version":0,"committed":false,"counts":{},"requests":{},"notices":[],"rejects":[]}"#;
        let now = "2026-11-24T23:59:58Z";
        assert_ne!(state_id(Some(REPORT), now), state_id(None, now));
    }

    #[test]
    fn new_day_changes_the_state() {
        let evening = state_id(None, "2026-11-24T23:59:58Z");
        assert_eq!(state_id(None, "2026-11-24T23:59:59Z"), evening);
        assert_ne!(state_id(None, "2026-11-25T00:00:00Z"), evening);
    }
}
