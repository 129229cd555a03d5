//! Rebuilds a table whose log cannot be loaded from the sources. The operator has to suspend all runs first.

use std::sync::Arc;

use datalake_core::run::RunReport;
use datalake_store::error::StoreError;
use datalake_table::{error::TableError, table::Table};
use futures_util::{FutureExt, future::LocalBoxFuture};

use crate::{
    error::RunError,
    options::{Lake, RunOptions},
    run,
};

/// The condition of a table before it is rebuilt.
#[derive(Debug)]
pub enum Condition {
    /// There is no table: a run creates one.
    Missing,
    /// The newest version can be loaded: nothing has to be rebuilt.
    Loadable {
        /// The newest version.
        version: u64,
        /// The number of its rows.
        rows: u64,
    },
    /// The log cannot be loaded.
    Damaged(TableError),
}

/// Loads the newest version to determine the condition of the table. The future is boxed, so that this crate compiles its code.
pub fn examine(lake: &Lake) -> LocalBoxFuture<'_, Result<Condition, RunError>> {
    condition_of(Table::new(Arc::clone(&lake.bucket))).boxed_local()
}

async fn condition_of(table: Table) -> Result<Condition, RunError> {
    match table.latest().await {
        Ok(None) => Ok(Condition::Missing),
        Ok(Some(version)) => Ok(Condition::Loadable {
            version: version.number(),
            rows: version.row_count(),
        }),
        Err(error @ TableError::Store(StoreError::NotFound { .. })) => Ok(Condition::Damaged(error)),
        Err(error @ TableError::Store(_)) => Err(error.into()),
        Err(error) => Ok(Condition::Damaged(error)),
    }
}

/// Removes the log and runs once. The new table has another ID, and its first version is 0.
pub async fn rebuild(lake: &Lake, options: &RunOptions) -> Result<RunReport, RunError> {
    let removed = Table::new(Arc::clone(&lake.bucket)).remove_log().await?;
    tracing::warn!(objects = removed, "removed the log; rebuilding the table from the sources");
    Ok(run::run(lake, options).await)
}
