//! Plans a run from the listing, and changes nothing.

use std::{collections::BTreeSet, sync::Arc};

use datalake_core::{
    plan::{GuardError, SourceChange, guard_deletions},
    run::RunMode,
    user::UserId,
};
use datalake_table::{delta::version::Version, table::Table};
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    declaration::{self, OnConflict},
    error::RunError,
    options::{Lake, Progress, RunOptions, cancellable},
    source_changes::{self, Scope},
};

/// The plan of a run, derived from the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// The version that the listing was compared with; none if there is no table yet.
    pub version: Option<u64>,
    /// Objects listed under `src-data/`.
    pub listed: u64,
    /// The users with sources that are not in the version that the table recorded.
    pub steps: Vec<PlannedStep>,
    /// The keys that a run would ignore, with their codes.
    pub ignored: Vec<(String, &'static str)>,
    /// The guard that would block the run. The guard against rejects applies only after reading.
    pub blocked_by: Option<GuardError>,
}

/// What a run would do with one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// The user.
    pub user_id: UserId,
    /// None if the CSV has not changed.
    pub csv: Option<PlannedAction>,
    /// None if the image has not changed.
    pub image: Option<PlannedAction>,
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

/// Lists the sources and compares them with the table, as a run does.
pub fn dry_run<'a>(lake: &'a Lake, options: &'a RunOptions) -> LocalBoxFuture<'a, Result<DryRun, RunError>> {
    cancellable(&options.cancel, plan(lake, options)).boxed_local()
}

async fn plan(lake: &Lake, options: &RunOptions) -> Result<DryRun, RunError> {
    let progress = options.progress.as_ref();
    progress(Progress::Connecting);
    let table = Table::new(Arc::clone(&lake.bucket));
    let base = table.latest().await?;
    let rejects = match &base {
        Some(version) => table.rejects(version).await?,
        None => Vec::new(),
    };
    let dataset = declaration::load_for_run(lake.bucket.as_ref(), options.dataset.as_ref(), OnConflict::Override).await?;
    let is_other = base.as_ref().is_some_and(|base| base.dataset() != &dataset);
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
    let action = |change: &SourceChange| match change {
        SourceChange::Unchanged => None,
        SourceChange::Read(_) => Some(PlannedAction::Read),
        SourceChange::Removed => Some(PlannedAction::Remove),
    };
    let steps = found.users.iter().map(|change| PlannedStep {
        user_id: change.user_id.clone(),
        csv: action(&change.csv),
        image: action(&change.image),
    });
    Ok(DryRun {
        version: base.as_ref().map(Version::number),
        listed: found.stats.listed,
        steps: steps.collect(),
        ignored: found
            .ignored
            .iter()
            .map(|(object, code)| (object.key.to_string(), code.as_str()))
            .collect(),
        blocked_by: guard_deletions(found.stats, options.deletion_guard).err(),
    })
}
