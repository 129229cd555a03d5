//! `datalake process`

use std::{
    fmt::Write,
    io::{self, IsTerminal},
};

use datalake_core::{
    plan::DeletionGuard,
    report::{RunMode, RunOutcome, RunReport},
};
use datalake_processor::{
    dry_run::{DryRun, dry_run},
    options::{Lake, RunOptions},
    run,
};
use serde_json::json;
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::{
    args::{self, OutputFormat, ProcessArgs},
    clock, logging,
    progress::Bar,
    signals, traces,
};

/// The rejects of a failed run that fit on a screen. The report contains a hundred.
const REJECTS_SHOWN_MAX: usize = 10;

/// Runs once and returns the exit status of the run, or runs on a schedule until a signal arrives and returns 0.
pub(crate) async fn process(args: ProcessArgs) -> anyhow::Result<u8> {
    let lake = super::open(&args.lake).await?;
    let cancel = signals::cancelled_by_signals()?;
    let bar = Bar::new();
    let options = |run_id| RunOptions {
        mode: if args.full { RunMode::Full } else { RunMode::Incremental },
        deletion_guard: if args.allow_mass_delete {
            DeletionGuard::Off
        } else {
            DeletionGuard::On
        },
        allow_mass_delete_of: args.allow_mass_delete_of.clone(),
        reject_ratio_max: args.policy.max_reject_ratio,
        writers: args.policy.writers(),
        progress: bar.listener(),
        cancel: cancel.clone(),
        ..RunOptions::new(run_id, clock::now)
    };
    if args.dry_run {
        let plan = dry_run(&lake, &options(args::new_run_id(clock::now()))).await;
        bar.clear();
        let plan = plan?;
        super::print(render_plan(&plan, args.output).as_bytes())?;
        let outcome = plan.blocked_by.map_or(RunOutcome::Succeeded, |_| RunOutcome::Refused);
        return Ok(outcome.exit_status());
    }
    let mut failures = 0;
    loop {
        let run_id = args.run_id.clone().unwrap_or_else(|| args::new_run_id(clock::now()));
        let outcome = run_once(&lake, &options(run_id), &bar, args.output).await?;
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
    }
}

async fn run_once(lake: &Lake, options: &RunOptions, bar: &Bar, format: OutputFormat) -> anyhow::Result<RunOutcome> {
    let span = run_span(options);
    let report = run::run(lake, options).instrument(span.clone()).await;
    record(&span, &report);
    bar.clear();
    // If standard output and standard error are a terminal, the table shows the error.
    if let Some(error) = &report.error
        && !(logging::is_terminal() && io::stdout().is_terminal())
    {
        tracing::error!(run.id = %report.run_id, outcome = report.outcome.as_str(), error, "run failed");
    }
    super::print(render_report(&report, format)?.as_bytes())?;
    Ok(report.outcome)
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

pub(super) fn render_report(report: &RunReport, format: OutputFormat) -> anyhow::Result<String> {
    if format == OutputFormat::Json {
        return Ok(serde_json::to_string(report)? + "\n");
    }
    let mut rows = vec![("run", report.run_id.to_string()), ("outcome", report.outcome.as_str().to_owned())];
    match &report.error {
        // The counts of a failed run are incomplete.
        Some(error) => {
            rows.push(("error", error.clone()));
            let rejects = report.rejects.iter().take(REJECTS_SHOWN_MAX);
            rows.extend(rejects.map(|reject| ("rejected", format!("{}: {}", reject.key, reject.code))));
        }
        None => rows.extend(result_rows(report)),
    }
    rows.push(("duration", format!("{} ms", report.elapsed_ms)));
    Ok(render_rows(&rows))
}

fn result_rows(report: &RunReport) -> Vec<(&'static str, String)> {
    let counts = &report.counts;
    let version = match report.version {
        Some(version) => match report.committed {
            Some(true) => format!("{version} (new)"),
            Some(false) => format!("{version} (unchanged)"),
            None => format!("{version} (unknown whether this run committed it)"),
        },
        None => "none".to_owned(),
    };
    vec![
        ("version", version),
        ("sources", format!("{} listed, {} ignored", counts.listed, counts.ignored)),
        ("read", format!("{} CSVs, {} images", counts.csv_read, counts.images_read)),
        (
            "rows",
            format!("{} added, {} changed, {} removed", counts.added, counts.changed, counts.removed),
        ),
        ("users", counts.users.to_string()),
        ("rejects", format!("{} open, {} in this run", counts.rejects_open, counts.rejected)),
        ("normalized", format!("{}, {} with a warning", counts.normalized, counts.warnings)),
    ]
}

fn render_rows(rows: &[(&str, String)]) -> String {
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        writeln!(text, "{name:<11}{value}").expect("writing to a string cannot fail");
        text
    })
}

fn render_plan(plan: &DryRun, format: OutputFormat) -> String {
    match format {
        OutputFormat::Json => {
            let steps: Vec<_> = plan
                .steps
                .iter()
                .map(|step| json!({ "user_id": step.user_id.as_str(), "csv": step.csv, "image": step.image }))
                .collect();
            let ignored: Vec<_> = plan.ignored.iter().map(|(key, code)| json!({ "key": key, "code": code })).collect();
            let plan = json!({
                "version": plan.version,
                "listed": plan.listed,
                "steps": steps,
                "ignored": ignored,
                "blocked_by": plan.blocked_by.map(|guard| guard.to_string()),
            });
            format!("{plan}\n")
        }
        OutputFormat::Table => {
            let mut text = String::new();
            for step in &plan.steps {
                let steps = [
                    step.csv.map(|action| format!("CSV {action}")),
                    step.image.map(|action| format!("image {action}")),
                ];
                let steps = steps.into_iter().flatten().collect::<Vec<_>>().join(", ");
                writeln!(text, "{}  {steps}", step.user_id).expect("writing to a string cannot fail");
            }
            for (key, code) in &plan.ignored {
                writeln!(text, "{key:?}  ignored: {code}").expect("writing to a string cannot fail");
            }
            let (users, ignored) = (plan.steps.len(), plan.ignored.len());
            writeln!(
                text,
                "{} objects listed, {users} users to process, {ignored} objects ignored; nothing was changed",
                plan.listed
            )
            .expect("writing to a string cannot fail");
            if let Some(guard) = plan.blocked_by {
                writeln!(text, "a guard would block the run: {guard}").expect("writing to a string cannot fail");
            }
            text
        }
    }
}
