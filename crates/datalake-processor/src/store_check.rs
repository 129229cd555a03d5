//! Whether the store refuses to create an object that exists: the safety of the table rests on that.
//!
//! It is checked before the first commit that a table sees in a store, and the check leaves a marker that names the store: a table that was
//! copied to another store, or made by a single writer, is checked again.

use bytes::Bytes;
use datalake_core::keys;
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use datalake_table::digest::Digest;

use crate::{error::RunError, unique::unique};

/// Hexadecimal digits of the identity's digest: 64 bits tell the few stores of a lake apart.
const IDENTITY_DIGITS: usize = 16;

/// Checks the store, unless this table has seen it before.
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
    if !refuses_what_exists(bucket).await? {
        return Err(RunError::NoCreateIfAbsent { source: None });
    }
    let text = Bytes::from_static(b"{\"create_if_absent\":true}\n");
    bucket.put(&marker, text, PutMode::Replace, &Metadata::new()).await?;
    Ok(())
}

/// Creates of one key. The first refusal after a success decides. A single success too many proves nothing: while this process was paused, a
/// vacuum may have removed the object.
const CREATES_MAX: u32 = 4;

/// Creates one key again and again. The key is unique: another process of the same run must not interfere.
async fn refuses_what_exists(bucket: &dyn Bucket) -> Result<bool, RunError> {
    let (key, creates_max) = if simulation::has(Bug::CreateProofIsShared) {
        (keys::create_proof("shared"), 2)
    } else {
        (keys::create_proof(&unique()), CREATES_MAX)
    };
    let create = async || match bucket.put(&key, Bytes::from_static(b"{}"), PutMode::Create, &Metadata::new()).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict { .. }) => Ok(false),
        // The store does not know the condition, and says so.
        Err(error) if error.is_not_supported() => Err(RunError::NoCreateIfAbsent { source: Some(error) }),
        Err(error) => Err(error.into()),
    };
    let mut created = 0;
    for _ in 0..creates_max {
        match create().await? {
            true => created += 1,
            false if created > 0 => break,
            // Refused because of an earlier request of this very create, or by a store that was busy.
            false => {}
        }
    }
    let refused = created < creates_max;
    bucket.delete(&key, None).await?;
    Ok(refused)
}
