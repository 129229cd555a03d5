//! Publishes `output.csv`. The file is derived only from the newest version, so any later run can publish what a dead run did not.

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{
    bucket::{Head, Metadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::{
    delta::{load::Newest, version::Version},
    table::Table,
};

use crate::{error::RunError, output_csv};

/// The version of `output.csv`, in the object's metadata: its number, the ID of its table, and the digest of its log entry.
const VERSION: &str = "datalake-version";
const TABLE_ID: &str = "datalake-table";
const DIGEST: &str = "datalake-digest";

/// Attempts before giving up. Another attempt follows if another run published or committed while the file was written.
const ATTEMPTS_MAX: u32 = 32;

/// Publishes `output.csv` of the newest version, which is `version` or a later one, and returns that version.
///
/// If the store derives ETags from the bytes only, a slow publisher can replace a newer file, because the file of an earlier version with the same
/// rows has the same ETag. Each publisher therefore checks again after it has written, so that the last one publishes the newest version.
pub(crate) async fn publish_output(table: &Table, version: &Version) -> Result<Version, RunError> {
    let bucket = table.bucket().as_ref();
    let mut version = version.clone();
    let mut text: Option<Bytes> = None;
    let mut was_put = false;
    for _ in 0..ATTEMPTS_MAX {
        let current = match bucket.head(keys::OUTPUT).await {
            Ok(head) => Some(head),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if !was_put && current.as_ref().is_some_and(|head| is_of(head, &version)) {
            return Ok(version);
        }
        // Checked before the put, so that a run that was paused does not publish an old version, and after it, because another run may have committed.
        let skips_check = if was_put {
            simulation::has(Bug::PublishSkipsSecondCheck)
        } else {
            simulation::has(Bug::PublishSkipsFirstCheck)
        };
        if !skips_check {
            match table.newest(&version).await? {
                Newest::Unchanged => {}
                Newest::NoTable => return Err(RunError::TableGone),
                Newest::Other(newer) => {
                    (version, text) = (newer, None);
                    continue;
                }
            }
        }
        if was_put && current.as_ref().is_some_and(|head| is_of(head, &version)) {
            return Ok(version);
        }
        let bytes = match &text {
            Some(bytes) => bytes.clone(),
            None => text.insert(output_csv::render(table, &version).await?.into()).clone(),
        };
        let mode = match current {
            _ if simulation::has(Bug::PublishIsUnconditional) => PutMode::Replace,
            Some(head) => PutMode::Update(head.meta.etag),
            None => PutMode::Create,
        };
        match bucket.put(keys::OUTPUT, bytes, mode, &metadata_of(&version)).await {
            Ok(_) => was_put = true,
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RunError::Contended { attempts: ATTEMPTS_MAX })
}

fn metadata_of(version: &Version) -> Metadata {
    Metadata::from([
        (VERSION.to_owned(), version.number().to_string()),
        (TABLE_ID.to_owned(), version.table_id().to_owned()),
        (DIGEST.to_owned(), version.digest().to_string()),
    ])
}

/// Whether the file is that of this version.
fn is_of(head: &Head, version: &Version) -> bool {
    let is_compared = |name: &str| name != DIGEST || !simulation::has(Bug::PublishComparesNumbers);
    let expected = metadata_of(version);
    expected
        .iter()
        .filter(|(name, _)| is_compared(name))
        .all(|(name, value)| head.metadata.get(name) == Some(value))
}
