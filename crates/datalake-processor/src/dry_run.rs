//! Plans a run and changes nothing: from the listing, and from the contents if the declaration changed.

use std::{collections::BTreeSet, sync::Arc};

use datalake_core::{
    dataset::Dataset,
    plan::{GuardError, RowPlan, SourceChange, guard_deletions, guard_folders},
    row_id::RowId,
    run::{RejectDetail, RunMode, RunReport},
};
use datalake_table::{delta::version::Version, table::Table};
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    declaration::{self, OnConflict},
    error::RunError,
    ingest::{self, Ingested},
    options::{Lake, Progress, RunOptions, cancellable},
    read::CsvRead,
    run,
    run_state::{RunContext, RunState},
    source_changes::{self, Scope},
};

/// The plan of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// The declaration of the sources.
    pub dataset: Arc<Dataset>,
    /// The version that the listing was compared with; none if there is no table yet.
    pub version: Option<u64>,
    /// Objects listed under `src-data/`.
    pub listed: u64,
    /// The rows with sources that are not in the version that the table recorded.
    pub steps: Vec<PlannedStep>,
    /// The keys that a run would ignore, with their codes.
    pub ignored: Vec<(String, &'static str)>,
    /// The guard that would block the run. Without `effect`, the guard against rejects is not checked.
    pub blocked_by: Option<GuardError>,
    /// Whether the declaration differs from that of the version, or from the built-in one if there is no table.
    pub is_other_declaration: bool,
    /// What such a declaration does to the rows.
    pub effect: Option<DeclarationEffect>,
}

/// What a run with another declaration than the table's would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclarationEffect {
    /// The rows before and after the run; none if a guard would block it.
    pub rows: Option<RowCounts>,
    /// The sources and files that were read.
    pub read: u64,
    /// How many of them the declaration rejects.
    pub rejected: u64,
    /// The first rejected ones.
    pub rejects: Vec<RejectDetail>,
}

/// How many rows a run keeps, adds and removes. A row that is kept may have other values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows before and after the run.
    pub kept: u64,
    /// Rows after the run only.
    pub added: u64,
    /// Rows before the run only.
    pub removed: u64,
}

/// What a run would do with one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// The ID of the row.
    pub row_id: RowId,
    /// None if the CSV has not changed.
    pub csv: Option<PlannedAction>,
    /// What changes about the files, in the order of the declaration; none for a file that has not changed.
    pub files: Box<[Option<PlannedAction>]>,
}

/// What a run would do with one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedAction {
    /// The object is new or has changed.
    Read,
    /// The object is gone, so its content is removed from the row.
    Remove,
}

impl PlannedAction {
    /// The name in the output of the executable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Remove => "remove",
        }
    }
}

/// Lists the sources and compares them with the table, as a run does. Reads them if the declaration differs from that of the table.
pub fn dry_run<'a>(lake: &'a Lake, options: &'a RunOptions) -> LocalBoxFuture<'a, Result<DryRun, RunError>> {
    cancellable(&options.cancel, plan(lake, options)).boxed_local()
}

async fn plan(lake: &Lake, options: &RunOptions) -> Result<DryRun, RunError> {
    let mut plan = plan_of_listing(lake, options).await?;
    if plan.is_other_declaration {
        let context = RunContext {
            options,
            table: Table::new(Arc::clone(&lake.bucket)),
            dataset: Arc::clone(&plan.dataset),
        };
        let (effect, guard) = effect(&context).await?;
        (plan.effect, plan.blocked_by) = (Some(effect), guard);
    }
    Ok(plan)
}

/// The plan without reading a source.
pub(crate) async fn plan_of_listing(lake: &Lake, options: &RunOptions) -> Result<DryRun, RunError> {
    let progress = options.progress.as_ref();
    progress(Progress::Connecting);
    let table = Table::new(Arc::clone(&lake.bucket));
    let base = table.latest().await?;
    let rejects = match &base {
        Some(version) => table.rejects(version).await?,
        None => Vec::new(),
    };
    let dataset = declaration::load_for_run(lake.bucket.as_ref(), options.dataset.as_ref(), OnConflict::Override).await?;
    // A lake without a table has the rows of none.
    let is_other = base.as_ref().map_or_else(Dataset::shared_users, |base| Arc::clone(base.dataset())) != dataset;
    let rejects = if is_other { Vec::new() } else { rejects };
    let scope = Scope {
        dataset: &dataset,
        base: base.as_ref(),
        rejects: &rejects,
        mode: if is_other { RunMode::Full } else { options.mode },
        reread: &BTreeSet::new(),
        run_at: (options.clock)(),
    };
    let found = source_changes::find(&table, scope, progress).await?;
    Ok(DryRun {
        version: base.as_ref().map(Version::number),
        listed: found.stats.listed,
        steps: found.plans.iter().map(step).collect(),
        ignored: found
            .ignored
            .iter()
            .map(|(object, code)| (object.key.to_string(), code.as_str()))
            .collect(),
        blocked_by: guard_deletions(found.stats, options.deletion_guard)
            .and_then(|()| guard_folders(&found.empty_folders, options.deletion_guard))
            .err(),
        is_other_declaration: is_other,
        effect: None,
        dataset,
    })
}

fn step(change: &RowPlan) -> PlannedStep {
    let action = |change: &SourceChange| match change {
        SourceChange::Unchanged => None,
        SourceChange::Read(_) => Some(PlannedAction::Read),
        SourceChange::Removed => Some(PlannedAction::Remove),
    };
    PlannedStep {
        row_id: change.row_id.clone(),
        csv: action(&change.csv),
        files: change.files.iter().map(action).collect(),
    }
}

/// Reads the sources as a run does, and returns what the declaration does to the rows, and the guard that would block the run.
async fn effect(context: &RunContext<'_>) -> Result<(DeclarationEffect, Option<GuardError>), RunError> {
    let mut state = RunState::new(context, run::new_report(context.options));
    let (rows, guard) = match ingest::ingest(context, &mut state).await {
        Ok(ingested) => (Some(row_counts(&ingested)), None),
        Err(RunError::Guard(guard) | RunError::Removals { guard, .. }) => (None, Some(guard)),
        Err(error) => return Err(error),
    };
    let RunReport {
        counts, reject_details, ..
    } = state.report;
    let effect = DeclarationEffect {
        rows,
        read: counts.csv_read + counts.images_read,
        rejected: counts.rejected,
        rejects: reject_details,
    };
    Ok((effect, guard))
}

fn row_counts(ingested: &Ingested) -> RowCounts {
    let mut counts = RowCounts::default();
    for read in &ingested.reads {
        let has_row_after = matches!(read.csv, CsvRead::Valid { .. });
        match (ingested.old_rows.contains_key(&read.row_id), has_row_after) {
            (true, true) => counts.kept += 1,
            (false, true) => counts.added += 1,
            (true, false) => counts.removed += 1,
            (false, false) => {}
        }
    }
    counts
}
