//! The steps before the commit. They change nothing that a reader can see.

use std::collections::BTreeMap;

use datalake_core::{reject::ExcludedSource, run::Counts};
use datalake_table::delta::{stage::Staged, version::Version};

use crate::{
    apply::{self, OldRows},
    error::RunError,
    ingest::{self, Ingested},
    options::{Progress, Writers},
    run_state::{RunContext, RunState},
    store_check,
};

/// What an attempt is about to commit.
pub(crate) enum Prepared {
    /// Readers would see no difference to the base: there is nothing to commit.
    Unchanged { base: Version, counts: Counts },
    /// The version after the base, or the first version.
    Changed {
        base: Option<Version>,
        staged: Staged,
        rejects: Vec<ExcludedSource>,
        counts: Counts,
    },
}

/// Reads the changed sources, copies new files, makes the new rows, and stages their data files.
pub(crate) async fn prepare(context: &RunContext<'_>, state: &mut RunState<'_>) -> Result<Prepared, RunError> {
    let progress = context.options.progress.as_ref();
    let Ingested {
        old_rows,
        reads,
        rejects,
        other,
    } = ingest::ingest(context, state).await?;
    let none = BTreeMap::new();
    let kept_rows = if other.is_some() { &none } else { &old_rows };
    let base = state.base.clone();
    let updates = state
        .copies
        .prepare(&state.reader, base.as_ref(), kept_rows, &reads, progress)
        .await?;
    let old = OldRows {
        rows: &old_rows,
        other: other.as_deref(),
    };
    let changes = apply::apply(&context.dataset, old, reads, updates, &context.options.run_id);
    let has_lost = base.as_ref().is_some_and(|base| !base.lost().is_empty());
    let ignored_changed = base.as_ref().and_then(Version::ignored) != rejects.ignored_beyond(state.report.counts.ignored);
    let is_visible = changes.is_visible || rejects.is_visible || ignored_changed || has_lost || other.is_some();
    if is_visible {
        state.copies.record_updates(base.as_ref(), changes.file_updates).await?;
    }
    drop(old_rows);
    let found = &state.report.counts;
    let counts = Counts {
        added: changes.added,
        changed: changes.changed,
        removed: changes.removed,
        users: (found.users + changes.added).saturating_sub(changes.removed),
        images_copied: changes.files_copied,
        ..found.clone()
    };
    Ok(match base {
        Some(base) if !is_visible => Prepared::Unchanged { base, counts },
        base => {
            progress(Progress::Committing);
            if context.options.writers == Writers::Many {
                store_check::require_create_if_absent(context.bucket()).await?;
            }
            let staged = context.table.stage(base.as_ref(), &context.dataset, changes.edits).await?;
            Prepared::Changed {
                base,
                staged,
                rejects: rejects.open,
                counts,
            }
        }
    })
}
