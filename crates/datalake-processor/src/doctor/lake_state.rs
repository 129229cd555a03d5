//! Checks of the table and of its drift from the sources.

use std::sync::Arc;

use datalake_core::{
    count::count,
    dataset::Dataset,
    keys,
    plan::GuardError,
    run::{RunId, RunOutcome, RunReport},
    text::{counted, grouped},
};
use datalake_store::bucket::ObjectMeta;
use datalake_table::{declaration::DeclarationError as Stored, table::Table};
use futures_util::TryStreamExt;
use jiff::Timestamp;

use super::check::{Finding, Outcome};
use crate::{
    declaration::{self, DeclarationError, OnConflict},
    dry_run::{DryRun, PlannedAction, plan_of_listing},
    error::RunError,
    options::{Lake, RunOptions},
};

/// Loads the newest version with all of its rows.
pub(super) async fn table(lake: &Lake, clock: fn() -> Timestamp) -> Outcome {
    let table = Table::new(Arc::clone(&lake.bucket));
    let Some(version) = table.latest().await.map_err(RunError::from)? else {
        return Err(Finding::warning("there is no table yet", "run `datalake process`"));
    };
    let mut rows = 0;
    let mut parts = table.all_rows(&version);
    while let Some(part) = parts.try_next().await.map_err(RunError::from)? {
        rows += count(part.len());
    }
    let rejects = table.rejects(&version).await.map_err(RunError::from)?;
    let minutes = clock().duration_since(version.committed_at()).as_mins();
    Ok(format!(
        "version {} can be loaded: {} rows, {} rejected or ignored objects, committed {} min ago",
        version.number(),
        grouped(rows),
        grouped(count(rejects.len())),
        minutes.max(0)
    ))
}

/// Validates the declaration of the sources. None without one: the lake contains users.
pub(super) async fn declaration(lake: &Lake, options: &RunOptions) -> Option<Outcome> {
    let bucket = lake.bucket.as_ref();
    let stored = declaration::read(bucket).await;
    if let (Ok(None), None) = (&stored, &options.dataset) {
        return None;
    }
    let checked = declaration::load_for_run(bucket, options.dataset.as_ref(), OnConflict::Fail).await;
    Some(checked.map_err(of_declaration).map(|dataset| {
        format!(
            "{}: {} and {}",
            dataset.title(),
            counted(count(dataset.column_names().count()), "column", "columns"),
            counted(count(dataset.files().len()), "file", "files")
        )
    }))
}

/// The finding for a declaration that cannot be used. The message of an invalid one has several clauses, and none of them is a remedy.
fn of_declaration(error: RunError) -> Finding {
    match error {
        RunError::Declaration(error @ (DeclarationError::Stored(Stored::Invalid { .. }) | DeclarationError::Unsupported(_))) => {
            Finding::failed(
                error.to_string(),
                "correct the declaration, and upload it with `datalake init --dataset FILE`",
            )
        }
        error => error.into(),
    }
}

/// Counts the objects whose recorded `ETag` or size differs from the listing, and compares the declaration with that of the table.
pub(super) async fn drift(lake: &Lake, options: &RunOptions) -> Outcome {
    let plan = plan_of_listing(lake, options).await?;
    let declaration_drift = declaration_drift(&plan, options);
    let steps = || {
        plan.steps
            .iter()
            .flat_map(|step| step.files.iter().chain([&step.csv]))
            .flatten()
            .copied()
    };
    let number = |wanted| steps().filter(|action| *action == wanted).count();
    let (read, gone) = (number(PlannedAction::Read), number(PlannedAction::Remove));
    let listed = grouped(plan.listed);
    if (read, gone) == (0, 0) && plan.blocked_by.is_none() && declaration_drift.is_none() {
        return Ok(format!("the table is up to date with all {listed} listed objects"));
    }
    let is_other = declaration_drift.is_some();
    let drift = declaration_drift.unwrap_or_else(|| {
        format!(
            "{} of {listed} listed objects are new or changed since the last run; {} removed",
            grouped(count(read)),
            grouped(count(gone))
        )
    });
    if let Some(guard) = &plan.blocked_by {
        let cause = guard.cause_for(&plan.dataset.rows_in_sentence());
        return Err(Finding::warning(
            format!("{drift}; a guard would block the next run: {cause}"),
            remedy_of(guard),
        ));
    }
    Err(match (blocked_run(lake).await?, is_other) {
        (Some((run_id, cause)), _) => Finding::warning(
            format!("{drift}; a guard blocked the last run: {cause}"),
            format!("see `datalake runs --id {run_id}`"),
        ),
        (None, true) => Finding::warning(drift, "see its effect with `datalake process --dry-run`"),
        (None, false) => Finding::warning(
            drift,
            "nothing to do: the next run reads them; run `datalake process` to start one now",
        ),
    })
}

/// That the declaration of the next run differs from that of the table; none if they are equal or there is no table.
fn declaration_drift(plan: &DryRun, options: &RunOptions) -> Option<String> {
    let version = plan.version.filter(|_| plan.is_other_declaration)?;
    let name = match &options.dataset {
        Some(_) => "the declaration of --dataset",
        None if *plan.dataset == *Dataset::users() => "the default declaration",
        None => keys::DECLARATION,
    };
    Some(format!(
        "{name} differs from the declaration of version {version}: the next run reads all sources"
    ))
}

/// The last run and its cause, if a guard blocked it.
async fn blocked_run(lake: &Lake) -> Result<Option<(RunId, String)>, RunError> {
    let mut last: Option<ObjectMeta> = None;
    let mut objects = lake.bucket.list(keys::RUNS, None);
    while let Some(object) = objects.try_next().await? {
        let is_later = last.as_ref().is_none_or(|last| last.modified <= object.modified);
        if is_later && keys::parse_run_report(&object.key).is_some() {
            last = Some(object);
        }
    }
    let Some(last) = last else { return Ok(None) };
    let report = lake.bucket.get(&last.key, None, None).await?;
    let report = serde_json::from_slice::<RunReport>(&report.bytes).ok();
    let blocked = report.filter(|report| report.outcome == RunOutcome::Blocked);
    Ok(blocked.and_then(|report| {
        let error = report.error?;
        let (cause, _) = error.split_once("; ").unwrap_or((&error, ""));
        Some((report.run_id, cause.to_owned()))
    }))
}

/// What to do about a guard, with the command that allows the run.
fn remedy_of(guard: &GuardError) -> String {
    match guard.is_about_deletions() {
        true => "check the lake's URL and the sources; to allow it: `datalake process --allow-mass-delete`".to_owned(),
        false => guard.remedy().to_owned(),
    }
}
