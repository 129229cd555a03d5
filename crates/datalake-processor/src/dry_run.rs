//! What a run would do, told from the listing alone. Changes nothing.

use std::{collections::BTreeSet, sync::Arc};

use datalake_core::{
    plan::{self, GuardError, SourceChange},
    user::UserId,
};
use datalake_table::{delta::version::Version, table::Table};

use crate::{
    changes::{self, Scope},
    error::RunError,
    options::{Lake, RunOptions, cancellable},
};

/// What a run would look at, told from the listing alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// The version that the plan was made against; none where there is no table yet.
    pub version: Option<u64>,
    /// Objects listed under `src-data/`.
    pub listed: u64,
    /// What a run would do with each user whose sources are not all as the table recorded them.
    pub steps: Vec<PlannedStep>,
    /// The keys that a run would ignore, with the code.
    pub ignored: Vec<(String, &'static str)>,
    /// Why a run would refuse to do any of it; that of its rejects shows only when it reads.
    pub refusal: Option<GuardError>,
}

/// What a run would do with one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// Whose sources.
    pub user_id: UserId,
    /// `read` or `gone`; none where the CSV is as it was.
    pub csv: Option<&'static str>,
    /// `read` or `gone`; none where the picture is as it was.
    pub image: Option<&'static str>,
}

/// Lists and compares, as a run does, and changes nothing.
pub async fn dry_run(lake: &Lake, options: &RunOptions) -> Result<DryRun, RunError> {
    cancellable(&options.cancel, look(lake, options)).await
}

async fn look(lake: &Lake, options: &RunOptions) -> Result<DryRun, RunError> {
    let table = Table::new(Arc::clone(&lake.bucket));
    let base = table.latest().await?;
    let refusals = match &base {
        Some(version) => table.refusals(version).await?,
        None => Vec::new(),
    };
    let progress = options.progress.as_ref();
    let scope = Scope {
        base: base.as_ref(),
        refusals: &refusals,
        mode: options.mode,
        reread: &BTreeSet::new(),
        run_at: (options.clock)(),
    };
    let found = changes::find(lake.bucket.as_ref(), &table, scope, progress).await?;
    let word = |change: &SourceChange| match change {
        SourceChange::Unchanged => None,
        SourceChange::Read(_) => Some("read"),
        SourceChange::Removed => Some("gone"),
    };
    let steps = found.users.iter().map(|change| PlannedStep {
        user_id: change.user_id.clone(),
        csv: word(&change.csv),
        image: word(&change.image),
    });
    Ok(DryRun {
        version: base.as_ref().map(Version::number),
        listed: found.census.listed,
        steps: steps.collect(),
        ignored: found
            .ignored
            .iter()
            .map(|(object, code)| (object.key.to_string(), code.as_str()))
            .collect(),
        refusal: plan::guard_deletions(found.census, options.deletion_guard).err(),
    })
}
