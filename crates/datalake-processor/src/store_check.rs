//! Checks that the store rejects the creation of an object that exists: the safety of the commit depends on that.
//!
//! The check precedes the first commit of a table to a store, and leaves a marker that names the store. A table that was copied to another store, or
//! created with a single writer, is checked again.

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
    unique_name::unique_name,
};
use datalake_table::digest::Digest;

use crate::error::RunError;

/// Hexadecimal digits of the identity's digest: 64 bits distinguish the few stores of a lake.
const IDENTITY_DIGITS: usize = 16;

/// Checks the store, unless the marker of an earlier check exists.
pub(crate) async fn require_create_if_absent(bucket: &dyn Bucket) -> Result<(), RunError> {
    let identity: String = Digest::of(bucket.identity().as_bytes())
        .to_string()
        .chars()
        .take(IDENTITY_DIGITS)
        .collect();
    let marker = keys::store_check(&identity);
    match bucket.head(&marker).await {
        Ok(_) => return Ok(()),
        Err(StoreError::NotFound { .. }) if simulation::has(Bug::StoreIsNotChecked) => return Ok(()),
        Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if !enforces_create_if_absent(bucket).await? {
        return Err(RunError::NoCreateIfAbsent { source: None });
    }
    let text = Bytes::from_static(b"{\"create_if_absent\":true}\n");
    bucket.put(&marker, text, PutMode::Replace, &Metadata::new()).await?;
    Ok(())
}

/// The maximum number of creates of one key. The check passes at the first rejection after a success. One more success proves nothing, because a vacuum may have removed
/// the object while this process was paused.
const CREATES_MAX: u32 = 4;

/// Creates one key several times. The key is unique, so another process of the same run cannot interfere.
async fn enforces_create_if_absent(bucket: &dyn Bucket) -> Result<bool, RunError> {
    let (key, creates_max) = if simulation::has(Bug::CreateProofIsShared) {
        (keys::create_proof("shared"), 2)
    } else {
        (keys::create_proof(&unique_name().to_string()), CREATES_MAX)
    };
    let create = async || match bucket.put(&key, Bytes::from_static(b"{}"), PutMode::Create, &Metadata::new()).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict { .. }) => Ok(false),
        // The store reports that it does not support the condition.
        Err(error) if error.is_not_supported() => Err(RunError::NoCreateIfAbsent { source: Some(error) }),
        Err(error) => Err(error.into()),
    };
    let mut created = 0;
    for _ in 0..creates_max {
        match create().await? {
            true => created += 1,
            false if created > 0 => break,
            // Rejected because an earlier request of the same create took effect, or because the store was busy.
            false => {}
        }
    }
    let is_enforced = created < creates_max;
    bucket.delete(&key, None).await?;
    Ok(is_enforced)
}
