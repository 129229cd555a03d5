//! Publishes what derives from the commits alone, so that any later run finishes what a dead one left.

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{
    bucket::{Bucket, Head, Metadata, PutMode},
    error::StoreError,
};
use datalake_table::{table::Table, version::Version};

use crate::{error::RunError, output};

/// The version that `output.csv` shows, and the table that it is a version of, in the object's metadata.
const VERSION: &str = "datalake-version";
const TABLE_ID: &str = "datalake-table";

/// Lost races to publish before giving up. Each is lost to a publisher that went forward.
const ATTEMPTS_MAX: u32 = 16;

/// Newer versions found after a put before giving up. Each is a commit that came in while the one before it was written.
const VERSIONS_MAX: u32 = 16;

/// Brings `output.csv` to `version` or a newer one, unless it is there or past it already.
///
/// A store whose tags are made of the bytes alone cannot tell a file from one of an earlier version with the same rows: a slow publisher may
/// then replace a newer file. So each looks again after it has written, and whoever writes last leaves the newest version there.
pub(crate) async fn publish_output(bucket: &dyn Bucket, table: &Table, version: &Version) -> Result<(), RunError> {
    let mut version = version.clone();
    for _ in 0..VERSIONS_MAX {
        if publish_once(bucket, table, &version).await? == Published::Already {
            return Ok(());
        }
        match table.newer_than(&version).await? {
            Some(newer) => version = newer,
            None => return Ok(()),
        }
    }
    Err(RunError::Contended { attempts: VERSIONS_MAX })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Published {
    /// By this call.
    Now,
    /// Before it, this version or a newer one.
    Already,
}

async fn publish_once(bucket: &dyn Bucket, table: &Table, version: &Version) -> Result<Published, RunError> {
    let mut text: Option<Bytes> = None;
    for _ in 0..ATTEMPTS_MAX {
        let present = match bucket.head(keys::OUTPUT).await {
            Ok(head) => Some(head),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if present.as_ref().is_some_and(|head| shows(head, version)) {
            return Ok(Published::Already);
        }
        let bytes = match &text {
            Some(bytes) => bytes.clone(),
            None => text.insert(output::render(table, version).await?.into()).clone(),
        };
        let mode = present.map_or(PutMode::Create, |head| PutMode::Update(head.meta.etag));
        let metadata = Metadata::from([
            (VERSION.to_owned(), version.number().to_string()),
            (TABLE_ID.to_owned(), version.table_id().to_owned()),
        ]);
        match bucket.put(keys::OUTPUT, bytes, mode, &metadata).await {
            Ok(_) => return Ok(Published::Now),
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RunError::Contended { attempts: ATTEMPTS_MAX })
}

/// Whether the file shows this version of this table, or a newer one.
fn shows(head: &Head, version: &Version) -> bool {
    let shown = head.metadata.get(VERSION).and_then(|number| number.parse::<u64>().ok());
    let is_of_table = head.metadata.get(TABLE_ID).is_some_and(|id| id == version.table_id());
    is_of_table && shown.is_some_and(|shown| shown >= version.number())
}
