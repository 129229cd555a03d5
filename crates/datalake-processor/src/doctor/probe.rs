//! The objects that the checks write, and their removal.

use std::sync::Arc;

use bytes::Bytes;
use datalake_core::{dataset::Dataset, keys};
use datalake_store::{
    bucket::{Bucket, Etag, Metadata, ObjectMeta, PutMode},
    error::StoreError,
    unique_name::unique_name,
};
use futures_util::TryStreamExt;
use jiff::SignedDuration;

use crate::declaration::{self, OnConflict};

/// Checks take seconds. Objects that are older were left by a process that was killed.
const LEFTOVER_AGE_MIN: SignedDuration = SignedDuration::from_hours(1);

/// The objects of the checks of one process.
pub(super) struct Probe<'a> {
    pub(super) bucket: &'a dyn Bucket,
    /// The declaration that runs are given.
    given: Option<&'a Arc<Dataset>>,
    unique: String,
}

impl<'a> Probe<'a> {
    pub(super) fn new(bucket: &'a dyn Bucket, given: Option<&'a Arc<Dataset>>) -> Self {
        Self {
            bucket,
            given,
            unique: unique_name().to_string(),
        }
    }

    /// The folders of the sources and of their files. That of the users if the declaration cannot be read, which is a check of its own.
    pub(super) async fn source_folders(&self) -> Vec<String> {
        match declaration::load_for_run(self.bucket, self.given, OnConflict::Override).await {
            Ok(dataset) => keys::source_folders(&dataset).into_iter().map(str::to_owned).collect(),
            Err(_) => vec![keys::SOURCES.to_owned()],
        }
    }

    /// The key of an object with this name.
    pub(super) fn key(&self, name: &str) -> String {
        keys::probe(&self.unique, name)
    }

    /// Writes a small object.
    pub(super) async fn put(&self, name: &str, text: &str, mode: PutMode) -> Result<Etag, StoreError> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        self.bucket.put(&self.key(name), bytes, mode, &Metadata::new()).await
    }

    /// The objects of this process whose names begin with `name`.
    pub(super) async fn list(&self, name: &str) -> Result<Vec<ObjectMeta>, StoreError> {
        self.bucket.list(&self.key(name), None).try_collect().await
    }

    /// Removes all objects of this process, and those that killed processes left.
    pub(super) async fn remove(&self) -> Result<(), StoreError> {
        let objects: Vec<ObjectMeta> = self.bucket.list(keys::PROBES, None).try_collect().await?;
        let own = self.key("");
        // By the store's clock.
        let now = objects
            .iter()
            .filter(|object| object.key.starts_with(&own))
            .map(|object| object.modified)
            .max();
        let is_leftover = |object: &ObjectMeta| now.is_some_and(|now| now.duration_since(object.modified) > LEFTOVER_AGE_MIN);
        for object in &objects {
            if object.key.starts_with(&own) || is_leftover(object) {
                self.bucket.delete(&object.key, None).await?;
            }
        }
        Ok(())
    }
}
