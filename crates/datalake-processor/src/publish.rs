//! Publishes `output.csv`: derived from the newest version alone, so that any later run finishes what a dead one left.

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{
    bucket::{Bucket, Head, Metadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::{
    delta::{load::Newest, version::Version},
    table::Table,
};

use crate::{error::RunError, output};

/// What `output.csv` shows, in the object's metadata: the version's number, its table's ID, and the digest that tells it from another version
/// of that number.
const VERSION: &str = "datalake-version";
const TABLE_ID: &str = "datalake-table";
const DIGEST: &str = "datalake-digest";

/// Lost races before giving up. Each is lost to a publisher that went forward, or to a commit that came in while the file was written.
const ATTEMPTS_MAX: u32 = 32;

/// Brings `output.csv` to the newest version, which is `version` or a later one, and returns that version.
///
/// A store whose ETags are made of the bytes alone cannot tell a file from one of an earlier version with the same rows: a slow publisher may
/// then replace a newer file. So each looks again after it has written, and the last writer leaves the newest version there.
pub(crate) async fn publish_output(bucket: &dyn Bucket, table: &Table, version: &Version) -> Result<Version, RunError> {
    let mut version = version.clone();
    let mut text: Option<Bytes> = None;
    let mut was_put = false;
    for _ in 0..ATTEMPTS_MAX {
        let present = match bucket.head(keys::OUTPUT).await {
            Ok(head) => Some(head),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if !was_put && present.as_ref().is_some_and(|head| shows(head, &version)) {
            return Ok(version);
        }
        // Before the put, so that a run that was paused replaces nothing by an old version; after it, since another run may have been faster.
        let skips_look = if was_put {
            simulation::has(Bug::PublishSkipsSecondCheck)
        } else {
            simulation::has(Bug::PublishSkipsFirstCheck)
        };
        if !skips_look {
            match table.newest(&version).await? {
                Newest::Unchanged => {}
                Newest::NoTable => return Err(RunError::TableGone),
                Newest::Other(newer) => {
                    (version, text) = (newer, None);
                    continue;
                }
            }
        }
        if was_put && present.as_ref().is_some_and(|head| shows(head, &version)) {
            return Ok(version);
        }
        let bytes = match &text {
            Some(bytes) => bytes.clone(),
            None => text.insert(output::render(table, &version).await?.into()).clone(),
        };
        let mode = match present {
            _ if simulation::has(Bug::PublishIsUnconditional) => PutMode::Replace,
            Some(head) => PutMode::Update(head.meta.etag),
            None => PutMode::Create,
        };
        match bucket.put(keys::OUTPUT, bytes, mode, &shown_by(&version)).await {
            Ok(_) => was_put = true,
            Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RunError::Contended { attempts: ATTEMPTS_MAX })
}

fn shown_by(version: &Version) -> Metadata {
    Metadata::from([
        (VERSION.to_owned(), version.number().to_string()),
        (TABLE_ID.to_owned(), version.table_id().to_owned()),
        (DIGEST.to_owned(), version.digest().to_string()),
    ])
}

/// Whether the file shows this very version.
fn shows(head: &Head, version: &Version) -> bool {
    let is_compared = |name: &str| name != DIGEST || !simulation::has(Bug::PublishComparesNumbers);
    let expected = shown_by(version);
    expected
        .iter()
        .filter(|(name, _)| is_compared(name))
        .all(|(name, value)| head.metadata.get(name) == Some(value))
}
