//! Finds objects that the newest version names and that are missing or damaged, so that the run can replace them from the sources.
//!
//! An object counts as lost only if two checks with a pause between them find it lost: rows must not be lost because a store returned wrong responses
//! for a moment. A failed or denied request proves nothing. A log that cannot be loaded is never repaired here.

use std::{sync::Arc, time::Duration};

use datalake_core::keys;
use datalake_store::{
    bucket::Bucket,
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::{
    delta::{
        data_file::DataFile,
        load::Newest,
        version::{Lost, Version},
    },
    error::TableError,
    table::Table,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::error::RunError;

/// HEAD requests are small.
const CHECKS_IN_FLIGHT: usize = 8;

/// The cause of a failure to read an object of a version.
#[derive(Debug)]
pub(crate) enum Finding {
    /// Nothing of the version is lost: the run fails.
    Nothing,
    /// The version is no longer the newest one: the vacuum removes files of superseded versions.
    Superseded,
    /// The lost objects of the version, including those that were found before.
    Lost(Lost),
}

/// Determines why a run that read `version` failed.
pub(crate) async fn find_lost(table: &Table, version: &Version, failure: &RunError, recheck_after: Duration) -> Result<Finding, RunError> {
    let RunError::Table(TableError::Store(StoreError::NotFound { key }) | TableError::Corrupt { key, .. }) = failure else {
        return Ok(Finding::Nothing);
    };
    let is_rejects_file = version.rejects_file_key().as_ref() == Some(key);
    let is_data_file = version.data_files().iter().any(|file| file.key() == *key);
    if !is_rejects_file && !is_data_file || simulation::has(Bug::HealingIsOff) {
        return Ok(Finding::Nothing);
    }
    if !matches!(table.newest(version).await?, Newest::Unchanged) {
        return Ok(Finding::Superseded);
    }
    tracing::warn!(object.key = %key, "a derived object is missing or damaged; checking again before it is replaced");
    let first = check(table, version, key).await?;
    tokio::time::sleep(recheck_after).await;
    let second = check(table, version, key).await?;
    let mut lost = version.lost().clone();
    lost.rejects_file |= first.rejects_file && second.rejects_file;
    lost.data_files
        .extend(first.data_files.into_iter().filter(|file| second.data_files.contains(file)));
    Ok(if lost == *version.lost() {
        Finding::Nothing
    } else {
        Finding::Lost(lost)
    })
}

/// The missing objects of the version, and the object under `key` if it is damaged.
async fn check(table: &Table, version: &Version, key: &str) -> Result<Lost, RunError> {
    let bucket = table.bucket().as_ref();
    let data_files: Vec<Option<Arc<DataFile>>> = stream::iter(version.data_files().iter().cloned())
        .map(async |file| {
            let file_key = file.key();
            let is_lost = is_missing(bucket, &file_key).await? || file_key == key && is_damaged(table, version, &file).await?;
            Ok::<_, RunError>(is_lost.then_some(file))
        })
        .buffered(CHECKS_IN_FLIGHT)
        .try_collect()
        .await?;
    let rejects_file = match version.rejects_file_key() {
        Some(rejects_file_key) if !version.lost().rejects_file => {
            is_missing(bucket, &rejects_file_key).await?
                || rejects_file_key == key && matches!(table.rejects(version).await, Err(TableError::Corrupt { .. }))
        }
        _ => false,
    };
    Ok(Lost {
        data_files: data_files.into_iter().flatten().collect(),
        rejects_file,
    })
}

/// Whether neither a HEAD nor a listing finds the object.
async fn is_missing(bucket: &dyn Bucket, key: &str) -> Result<bool, RunError> {
    debug_assert!(key.starts_with(keys::TABLE), "only objects of the table are checked");
    match bucket.head(key).await {
        Ok(_) => return Ok(false),
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let listed = bucket
        .list(key, None)
        .try_any(|object| std::future::ready(object.key == key))
        .await?;
    Ok(!listed)
}

async fn is_damaged(table: &Table, version: &Version, file: &DataFile) -> Result<bool, RunError> {
    match table.check_data_file(version, file).await {
        Ok(()) => Ok(false),
        Err(TableError::Corrupt { .. }) => Ok(true),
        Err(TableError::Store(StoreError::NotFound { .. })) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
