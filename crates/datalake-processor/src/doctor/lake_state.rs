//! Checks of the table and of its drift from the sources.

use std::sync::Arc;

use datalake_core::{count::count, plan::GuardError, text::grouped};
use datalake_table::table::Table;
use futures_util::TryStreamExt;
use jiff::Timestamp;

use super::check::{Finding, Outcome};
use crate::{
    declaration::{self, OnConflict},
    dry_run::{PlannedAction, dry_run},
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
    let checked = async {
        let dataset = declaration::load_for_run(bucket, options.dataset.as_ref(), OnConflict::Fail).await?;
        Ok(format!(
            "{}: {} columns and {} files",
            dataset.title(),
            dataset.column_names().count(),
            dataset.files().len()
        ))
    };
    Some(checked.await)
}

/// Counts the objects whose recorded `ETag` or size differs from the listing.
pub(super) async fn drift(lake: &Lake, options: &RunOptions) -> Outcome {
    let plan = dry_run(lake, options).await?;
    let steps = || plan.steps.iter().flat_map(|step| [step.csv, step.image]).flatten();
    let number = |wanted| steps().filter(|action| *action == wanted).count();
    let (read, gone) = (number(PlannedAction::Read), number(PlannedAction::Remove));
    let listed = grouped(plan.listed);
    if (read, gone) == (0, 0) && plan.blocked_by.is_none() {
        return Ok(format!("the table is up to date with all {listed} listed objects"));
    }
    let drift = format!(
        "{} of {listed} listed objects are new or changed since the last run; {} objects were removed",
        grouped(count(read)),
        grouped(count(gone))
    );
    Err(match plan.blocked_by {
        None => Finding::warning(
            drift,
            "nothing to do: the next run reads them; run `datalake process` to start one now",
        ),
        Some(guard) => Finding::warning(
            format!("{drift}; a guard would block the next run: {}", guard.cause()),
            remedy_of(guard),
        ),
    })
}

/// What to do about a guard, with the command that allows the run.
fn remedy_of(guard: GuardError) -> String {
    match guard.is_about_deletions() {
        true => "check the lake's URL and the sources; to allow it: `datalake process --allow-mass-delete`".to_owned(),
        false => guard.remedy().to_owned(),
    }
}
