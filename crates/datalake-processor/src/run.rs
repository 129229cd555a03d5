//! One run, from its first request to its report.

use std::sync::Arc;

use bytes::Bytes;
use datalake_core::{
    count::milliseconds,
    error_chain::error_chain,
    keys,
    run::{Counts, Requests, RunOutcome, RunReport},
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
    single_writer::SingleWriter,
};
use datalake_table::table::Table;
use futures_util::{FutureExt, future::LocalBoxFuture};
use tokio::time::Instant;

use crate::{
    attempts,
    declaration::{self, OnConflict},
    options::{Lake, Progress, RunOptions, Writers},
    run_state::{RunContext, RunState},
};

/// Runs once and writes the report. Returns the report whether or not the run succeeded; the caller shows the failure.
///
/// The future is boxed, so that this crate compiles its code, and not each crate that awaits it.
pub fn run<'a>(lake: &'a Lake, options: &'a RunOptions) -> LocalBoxFuture<'a, RunReport> {
    run_and_report(lake, options).boxed_local()
}

async fn run_and_report(lake: &Lake, options: &RunOptions) -> RunReport {
    let start = Instant::now();
    let requests_before = lake.requests.snapshot();
    tracing::info!(run.id = %options.run_id, run.mode = options.mode.as_str(), "run started");
    (options.progress)(Progress::Connecting);

    let bucket: Arc<dyn Bucket> = match options.writers {
        Writers::Many => Arc::clone(&lake.bucket),
        Writers::Single => Arc::new(SingleWriter::new(Arc::clone(&lake.bucket))),
    };
    let mut report = new_report(options);
    let result = match declaration::load_for_run(bucket.as_ref(), options.dataset.as_ref(), OnConflict::Fail).await {
        Ok(dataset) => {
            let context = RunContext {
                options,
                table: Table::with_settings(bucket, options.table),
                dataset,
            };
            let mut state = RunState::new(&context, report);
            let result = attempts::execute(&context, &mut state).await;
            report = state.report;
            result
        }
        Err(error) => Err(error),
    };
    report.ended_at = (options.clock)();
    report.elapsed_ms = milliseconds(start.elapsed());
    report.requests = difference(lake.requests.snapshot(), requests_before);
    // This machine's clock decides which births are in the future, and the age of the table.
    if let Some(skew_seconds) = report.clock_skew_seconds {
        tracing::warn!(
            run.id = %options.run_id,
            skew_seconds,
            "clock skew between the store and this machine; synchronize the clocks"
        );
    }
    match result {
        Ok(()) => {
            // The table records the rejects of the run.
            report.reject_details.clear();
            tracing::info!(run.id = %options.run_id, version = report.version, committed = report.committed, elapsed_ms = report.elapsed_ms, "run succeeded");
        }
        Err(error) => {
            report.outcome = error.outcome();
            report.error = Some(match (report.committed, report.version) {
                (Some(true), Some(version)) => {
                    format!("the run failed after it committed version {version}: {}", error_chain(&error))
                }
                _ => error_chain(&error),
            });
        }
    }
    if let Err(error) = write_report(lake.bucket.as_ref(), &report).await {
        tracing::warn!(run.id = %options.run_id, error = error_chain(&error), "cannot write run report");
    }
    report
}

/// The report of a run that has found and done nothing yet.
pub(crate) fn new_report(options: &RunOptions) -> RunReport {
    let started_at = (options.clock)();
    RunReport {
        run_id: options.run_id.clone(),
        outcome: RunOutcome::Succeeded,
        mode: options.mode,
        started_at,
        ended_at: started_at,
        elapsed_ms: 0,
        version: None,
        committed: Some(false),
        counts: Counts::default(),
        requests: Requests::default(),
        notices: Vec::new(),
        rejects: Vec::new(),
        clock_skew_seconds: None,
        allow_mass_delete_of: options.allow_mass_delete_of.clone(),
        reject_details: Vec::new(),
        blocked_deletions: None,
        repaired: None,
        error: None,
    }
}

async fn write_report(bucket: &dyn Bucket, report: &RunReport) -> Result<(), StoreError> {
    let text = serde_json::to_vec_pretty(report).expect("a report consists of strings and numbers");
    bucket
        .put(
            &keys::run_report(&report.run_id),
            Bytes::from(text),
            PutMode::Replace,
            &Metadata::new(),
        )
        .await
        .map(drop)
}

fn difference(after: Requests, before: Requests) -> Requests {
    Requests {
        list: after.list - before.list,
        get: after.get - before.get,
        put: after.put - before.put,
        copy: after.copy - before.copy,
        delete: after.delete - before.delete,
        head: after.head - before.head,
    }
}
