//! The steps after the commit, which also run if there was nothing to commit.

use std::collections::BTreeSet;

use datalake_core::{error_chain::error_chain, row_id::RowId, run::RunReport};
use datalake_table::delta::version::Version;

use crate::{
    error::RunError,
    options::Progress,
    publish,
    run_state::{RunContext, RunState},
    vacuum,
};

/// Publishes `output.csv` and the image copies of the newest version, which is `version` or a later one, and vacuums once a day. Returns the rows
/// whose row links an image that is in neither the copy nor the source.
pub(crate) async fn finish(context: &RunContext<'_>, state: &mut RunState<'_>, version: &Version) -> Result<BTreeSet<RowId>, RunError> {
    (context.options.progress)(Progress::Publishing);
    let (bucket, report) = (context.bucket(), &mut state.report);
    let newest = publish::publish_output(&context.table, version).await?;
    let now = bucket.fenced().await?.store_time;
    report.clock_skew_seconds = RunReport::clock_skew_seconds(now, (context.options.clock)());
    let own = (report.committed == Some(true)).then_some(version);
    let (newest, lost_images) = state.copies.after_commit(newest, own, now, &mut report.counts).await?;
    if !lost_images.is_empty() {
        return Ok(lost_images);
    }
    match vacuum::vacuum_daily(&context.table, &newest, &mut state.copies, now).await {
        Ok(lost_images) => Ok(lost_images),
        Err(error) => {
            tracing::warn!(run.id = %context.options.run_id, error = error_chain(&error), "vacuum failed; the next run tries again");
            Ok(BTreeSet::new())
        }
    }
}
