//! `datalake process`

use std::io::{self, IsTerminal};

use datalake_core::{
    plan::DeletionGuard,
    run::{RunMode, RunOutcome, RunReport},
};
use datalake_processor::{
    dry_run::dry_run,
    options::{Lake, RunOptions},
    run,
};
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    plan::render_plan,
    run_report::{dataset_of, error_with_commands, render_report},
};
use crate::{
    args::{self, LakeArgs, ProcessArgs},
    clock, dataset_file,
    lake_arguments::arguments,
    logging,
    progress::{Bar, lake_object::ProgressObject},
    signals, traces,
};

/// Runs once and returns the exit status of the run, or runs on a schedule until a signal arrives and returns 0.
pub(crate) async fn process(args: ProcessArgs) -> anyhow::Result<u8> {
    let dataset = dataset_file::dataset(args.policy.dataset.as_deref())?;
    let url = &args.lake.lake;
    let connecting = format!("connecting to {url}");
    let bar = Bar::waiting(&connecting);
    let lake = super::open(&args.lake).await?;
    let cancel = signals::cancelled_by_signals()?;
    let options = |run_id, bar: &Bar| RunOptions {
        mode: if args.full { RunMode::Full } else { RunMode::Incremental },
        deletion_guard: if args.allow_mass_delete {
            DeletionGuard::Off
        } else {
            DeletionGuard::On
        },
        allow_mass_delete_of: args.allow_mass_delete_of.clone(),
        reject_ratio_max: args.policy.max_reject_ratio,
        dataset: dataset.clone(),
        writers: args.policy.writers(),
        progress: bar.listener(),
        cancel: cancel.clone(),
        ..RunOptions::new(run_id, clock::now)
    };
    if args.dry_run {
        let plan = dry_run(&lake, &options(args::new_run_id(clock::now()), &bar)).await;
        bar.clear();
        let plan = plan?;
        super::print(render_plan(&plan, args.output, &arguments(&args.lake)).as_bytes())?;
        let outcome = plan.blocked_by.map_or(RunOutcome::Succeeded, |_| RunOutcome::Blocked);
        return Ok(outcome.exit_status());
    }
    let (mut failures, mut bar) = (0, bar);
    loop {
        let run_id = args.run_id.clone().unwrap_or_else(|| args::new_run_id(clock::now()));
        let report = run_with_progress(&lake, options(run_id, &bar), &args.lake).await;
        bar.clear();
        let declared = dataset_of(&report, args.output, &lake, dataset.as_ref()).await;
        super::print(render_report(&report, args.output, &args.lake, &declared)?.as_bytes())?;
        let outcome = report.outcome;
        failures = if outcome == RunOutcome::Failed { failures + 1 } else { 0 };
        let Some(delay) = args
            .schedule
            .as_ref()
            .and_then(|schedule| schedule.delay_after(failures, clock::now()))
        else {
            return Ok(outcome.exit_status());
        };
        tokio::select! {
            () = cancel.cancelled() => return Ok(0),
            () = tokio::time::sleep(delay) => {}
        }
        bar = Bar::waiting(&connecting);
    }
}

/// Runs once; on Kubernetes with an object that has the progress of the run.
async fn run_with_progress(lake: &Lake, mut options: RunOptions, arguments: &LakeArgs) -> RunReport {
    let Some(object) = ProgressObject::on_kubernetes(&lake.bucket, &options.run_id) else {
        return run_once(lake, &options, arguments).await;
    };
    options.progress = object.listener(options.progress);
    let report = run_once(lake, &options, arguments).await;
    drop(options);
    object.remove().await;
    report
}

async fn run_once(lake: &Lake, options: &RunOptions, arguments: &LakeArgs) -> RunReport {
    let span = run_span(options);
    let report = run::run(lake, options).instrument(span.clone()).await;
    record(&span, &report);
    // If standard output and standard error are a terminal, the table shows the error.
    if let Some(error) = error_with_commands(&report, arguments)
        && !(logging::is_terminal() && io::stdout().is_terminal())
    {
        tracing::error!(run.id = %report.run_id, run.outcome = report.outcome.as_str(), error, "run failed");
    }
    report
}

/// The run's span, a child of the span that started the run.
fn run_span(options: &RunOptions) -> Span {
    let span = tracing::info_span!(
        target: datalake_api::telemetry::traces::TARGET,
        "run",
        otel.status_code = Empty,
        error.type = Empty,
        run.id = %options.run_id,
        run.mode = options.mode.as_str(),
        run.outcome = Empty,
        run.version = Empty,
        run.committed = Empty,
        run.listed = Empty,
        run.added = Empty,
        run.changed = Empty,
        run.removed = Empty,
        run.rejected = Empty,
    );
    if let (false, Some(parent)) = (
        span.is_disabled(),
        traces::variable(datalake_runs::trace_context::ENVIRONMENT_VARIABLE),
    ) {
        // Fails only if the span is not exported.
        let _not_exported = span.set_parent(datalake_runs::trace_context::parent_context(&parent));
    }
    span
}

fn record(span: &Span, report: &RunReport) {
    span.record("run.outcome", report.outcome.as_str());
    span.record("run.committed", report.committed == Some(true));
    let counts = &report.counts;
    let numbers = [
        ("run.version", report.version),
        ("run.listed", Some(counts.listed)),
        ("run.added", Some(counts.added)),
        ("run.changed", Some(counts.changed)),
        ("run.removed", Some(counts.removed)),
        ("run.rejected", Some(counts.rejected)),
    ];
    for (name, number) in numbers {
        // An unsigned number would be exported as text.
        span.record(name, number.and_then(|number| i64::try_from(number).ok()));
    }
    if report.error.is_some() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", report.outcome.as_str());
    }
}
