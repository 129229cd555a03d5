//! Rebuilds a table whose log cannot be loaded, from the sources: for an operator who has suspended all runs.

use datalake_core::report::RunReport;
use datalake_table::{error::TableError, table::Table};

use crate::{
    error::RunError,
    options::{Lake, RunOptions},
    run,
};

/// What is known of a table before it is rebuilt.
#[derive(Debug)]
pub enum Condition {
    /// There is no table: a run makes one.
    Missing,
    /// It can be loaded: nothing has to be rebuilt.
    Loadable {
        /// The newest version.
        version: u64,
        /// Its rows.
        rows: u64,
    },
    /// Its log cannot be loaded.
    Damaged(TableError),
}

/// Looks at the table.
pub async fn examine(lake: &Lake) -> Result<Condition, RunError> {
    match Table::new(std::sync::Arc::clone(&lake.bucket)).latest().await {
        Ok(None) => Ok(Condition::Missing),
        Ok(Some(version)) => Ok(Condition::Loadable {
            version: version.number(),
            rows: version.row_count(),
        }),
        Err(error @ TableError::Store(datalake_store::error::StoreError::NotFound { .. })) => Ok(Condition::Damaged(error)),
        Err(error @ TableError::Store(_)) => Err(error.into()),
        Err(error) => Ok(Condition::Damaged(error)),
    }
}

/// Removes the log and runs once: the new table has another ID and begins with version 0.
pub async fn rebuild(lake: &Lake, options: &RunOptions) -> Result<RunReport, RunError> {
    let removed = Table::new(std::sync::Arc::clone(&lake.bucket)).remove_log().await?;
    tracing::warn!(objects = removed, "removed the log; rebuilding the table from the sources");
    Ok(run::run(lake, options).await)
}
