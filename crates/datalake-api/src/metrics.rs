//! What the server counts, in the text format of Prometheus. The recorder is this value's own: nothing is global.

use std::{fmt, sync::Arc, time::Duration};

use datalake_core::{
    reject::{OpenRefusal, Refusal},
    report::RunOutcome,
};
use jiff::Timestamp;
use metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use crate::{
    clock::{Clock, whole_seconds},
    launcher::{Run, RunState},
    table_watch::{Held, TableState},
};

/// From an answer out of memory to the longest that a request may take, in seconds.
const DURATION_BUCKETS: [f64; 12] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0];

/// Counters, gauges and histograms. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<PrometheusRecorder>);

impl Metrics {
    /// A recorder of its own.
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS);
        let recorder = builder.expect("the buckets are a constant that is not empty").build_recorder();
        Self(Arc::new(recorder))
    }

    /// Counts an answered request. `route` is the template, never the path: paths are as many as users.
    pub(crate) fn count_request(&self, route: &str, status: u16, elapsed: Duration) {
        with_local_recorder(&*self.0, || {
            counter!("datalake_http_requests_total", "route" => route.to_owned(), "status" => status.to_string()).increment(1);
            histogram!("datalake_http_request_duration_seconds", "route" => route.to_owned()).record(elapsed);
        });
    }

    /// Everything as text, with the table as it is held now and the newest runs, the newest first.
    pub(crate) fn render(&self, table: &TableState, runs: &[Run], clock: Clock) -> String {
        with_local_recorder(&*self.0, || {
            gauge!("datalake_table_readable").set(if table.failing_since.is_none() && table.checked_at.is_some() {
                1.0
            } else {
                0.0
            });
            if let Some(checked_at) = table.checked_at {
                gauge!("datalake_table_checked_timestamp_seconds").set(checked_at.as_duration().as_secs_f64());
            }
            if let Held::Snapshot(snapshot) = &table.held {
                gauge!("datalake_table_version").set(float(snapshot.version().number()));
                gauge!("datalake_table_rows").set(float(count(snapshot.len())));
                gauge!("datalake_rejects_open").set(float(count(rejected(snapshot.refusals()))));
                let committed_at = snapshot.version().committed_at();
                gauge!("datalake_table_age_seconds").set(float(whole_seconds(committed_at, clock.now())));
                // A run that had nothing to do makes no version, and shows all the same that the table is what the sources say.
                let confirmed_at = last_success(runs).map_or(committed_at, |began| began.max(committed_at));
                gauge!("datalake_data_age_seconds").set(float(whole_seconds(confirmed_at, clock.now())));
            }
            if let Some(outcome) = runs.iter().find_map(|run| run.state.outcome()) {
                gauge!("datalake_last_run_succeeded").set(if outcome == RunOutcome::Succeeded { 1.0 } else { 0.0 });
            }
        });
        self.0.handle().render()
    }

    /// Folds what was recorded since the last time: without it, and without anybody who asks for the text, samples would pile up.
    pub(crate) fn fold(&self) {
        self.0.handle().run_upkeep();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(…)")
    }
}

/// When the newest run began that succeeded.
fn last_success(runs: &[Run]) -> Option<Timestamp> {
    let succeeded = |run: &&Run| run.state == RunState::Ended(RunOutcome::Succeeded);
    runs.iter().filter(succeeded).filter_map(|run| run.started_at).max()
}

fn rejected(refusals: &[OpenRefusal]) -> usize {
    let is_rejected = |open: &&OpenRefusal| matches!(open.refusal, Refusal::Rejected(_));
    refusals.iter().filter(is_rejected).count()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Exact for all that is counted here, which is far below 2^53.
fn float(number: u64) -> f64 {
    Duration::from_secs(number).as_secs_f64()
}
