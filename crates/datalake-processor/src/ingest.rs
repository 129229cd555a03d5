//! Finds and reads the changed sources, between two checks of the guards. Changes nothing in the lake.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{
    count::count,
    dataset::Dataset,
    plan::{self, ListingStats, SourceChange, SourceObject},
    reject::{ExcludedSource, IgnoreCode},
    row::Row,
    row_id::RowId,
    run::{Counts, Repaired, RunMode},
};
use datalake_store::simulation::{self, Bug};
use datalake_table::delta::version::Version;

use crate::{
    error::RunError,
    guards::{self, Removals},
    read::RowRead,
    read_summary::ReadSummary,
    rejects::{Before, Rejects},
    run_state::{RunContext, RunState},
    source_changes::{self, Changes, Scope},
};

/// The changed sources, and the rows that they change.
pub(crate) struct Ingested {
    /// The rows of the base, of the sources that were read.
    pub(crate) old_rows: BTreeMap<RowId, Row>,
    /// Sorted by ID.
    pub(crate) reads: Vec<RowRead>,
    pub(crate) rejects: Rejects,
    /// The declaration of `old_rows`, if it is another than that of the sources. Then no old row is kept.
    pub(crate) other: Option<Arc<Dataset>>,
}

/// Loads the base, lists the sources, applies the guards, and reads what changed.
pub(crate) async fn ingest(context: &RunContext<'_>, state: &mut RunState<'_>) -> Result<Ingested, RunError> {
    let progress = context.options.progress.as_ref();
    let base = load_base(context, state).await?;
    let other = base
        .as_ref()
        .map(Version::dataset)
        .filter(|dataset| **dataset != context.dataset)
        .cloned();
    let is_other = other.is_some();
    let open_before = rejects_of(context, base.as_ref()).await?;
    // A source that another declaration rejects may be valid.
    let rejects_before = if is_other { &[] } else { &*open_before };
    let scope = Scope {
        dataset: &context.dataset,
        base: base.as_ref(),
        rejects: rejects_before,
        mode: if is_other { RunMode::Full } else { context.options.mode },
        reread: state.copies.lost(),
        run_at: state.report.started_at,
    };
    let Changes {
        plans,
        ignored,
        ignored_count,
        mut stats,
        empty_folders,
        csv_listed,
        images_listed,
        rederived,
    } = source_changes::find(&context.table, scope, progress).await?;
    let lost_rows = base.as_ref().map_or(0, |base| base.lost().row_count());
    let lost_and_gone = lost_rows.saturating_sub(rederived);
    let repaired = base.as_ref().and_then(|base| repaired(base, lost_and_gone));
    // A later attempt after a commit finds nothing lost, and must not hide what the commit repaired.
    if repaired.is_some() || state.report.committed != Some(true) {
        state.report.repaired = repaired;
    }
    let (lost_rows, lost_and_gone) = match simulation::has(Bug::HealingForgetsLostRows) {
        true => (0, 0),
        false => (lost_rows, lost_and_gone),
    };
    stats.known += lost_rows;
    stats.gone += lost_and_gone;
    state.report.counts = Counts {
        listed: stats.listed,
        csv_listed,
        images_listed,
        ignored: ignored_count,
        users: base.as_ref().map_or(0, Version::row_count),
        ..Counts::default()
    };
    let gone = plans.iter().filter(|change| change.csv == SourceChange::Removed);
    let removals = Removals {
        gone: gone.map(|change| &change.row_id).collect(),
        rejected: 0,
    };
    guards::check_deletions(context, stats, &empty_folders, removals, &mut state.report).await?;

    let reads = state.reader.read_all(plans, csv_listed + images_listed, progress).await?;
    let old_rows = old_rows(context, base.as_ref(), &reads).await?;
    let before = Before {
        rejects: &open_before,
        rows: &old_rows,
        is_other,
    };
    let rejects = report_reads(context, state, before, &reads, ignored);
    let counts = &state.report.counts;
    let guard_rejects = plan::guard_rejects(counts.rejects_open, csv_listed + images_listed, context.options.reject_ratio_max);
    // If the declaration changed, most removals follow from rejects, which say why.
    if is_other {
        guard_rejects.clone()?;
    }
    // Sources can vanish while they are read, for example when a file system is unmounted. The same guard applies.
    // A row of another declaration is never kept, so it is also gone if its source is rejected now.
    let removals = Removals::after_reading(rejects_before, &old_rows, &reads, is_other);
    let after_reading = ListingStats {
        gone: count(removals.gone.len()) + lost_and_gone,
        ..stats
    };
    guards::check_deletions(context, after_reading, &empty_folders, removals, &mut state.report).await?;
    guard_rejects?;
    if base.is_none() {
        guards::require_a_row(&reads, csv_listed)?;
    }
    Ok(Ingested {
        old_rows,
        reads,
        rejects,
        other,
    })
}

/// Adds what was read to the report, and returns the rejected and ignored sources.
fn report_reads(
    context: &RunContext<'_>,
    state: &mut RunState<'_>,
    before: Before<'_>,
    reads: &[RowRead],
    ignored: Vec<(SourceObject, IgnoreCode)>,
) -> Rejects {
    let (run_id, report) = (&context.options.run_id, &mut state.report);
    let summary = ReadSummary::of(reads);
    (report.notices, report.rejects) = (summary.notices, summary.rejects);
    report.reject_details = summary.reject_details;
    let rejects = Rejects::after_reading(&context.dataset, before, reads, ignored, run_id, report.started_at);
    report.counts = Counts {
        csv_read: summary.csv_read,
        images_read: summary.images_read,
        normalized: summary.normalized,
        rejected: summary.rejected,
        rejected_new: rejects.rejected_new(run_id),
        warnings: summary.warnings,
        rejects_open: rejects.rejected(),
        ..report.counts.clone()
    };
    rejects
}

async fn rejects_of(context: &RunContext<'_>, version: Option<&Version>) -> Result<Vec<ExcludedSource>, RunError> {
    Ok(match version {
        Some(version) => context.table.rejects(version).await?,
        None => Vec::new(),
    })
}

/// The newest version, without the objects of it that are known to be lost.
async fn load_base(context: &RunContext<'_>, state: &mut RunState<'_>) -> Result<Option<Version>, RunError> {
    let mut base = context.table.latest().await?;
    if let (Some(version), Some((digest, lost))) = (&base, &state.lost)
        && version.digest() == *digest
    {
        base = Some(version.without(lost.clone()));
    }
    state.base.clone_from(&base);
    Ok(base)
}

/// What the commit will repair of its base; `rows_lost` rows cannot be derived from the sources.
fn repaired(base: &Version, rows_lost: u64) -> Option<Repaired> {
    let lost = base.lost();
    (!lost.is_empty()).then(|| Repaired {
        data_files: lost.data_files.iter().map(|file| file.key()).collect(),
        rejects_file: lost.rejects_file,
        rows: lost.row_count(),
        rows_lost,
    })
}

async fn old_rows(context: &RunContext<'_>, base: Option<&Version>, reads: &[RowRead]) -> Result<BTreeMap<RowId, Row>, RunError> {
    match base {
        Some(version) if !reads.is_empty() => {
            let row_ids: Vec<_> = reads.iter().map(|read| read.row_id.clone()).collect();
            Ok(context.table.rows_of(version, &row_ids).await?)
        }
        _ => Ok(BTreeMap::new()),
    }
}
