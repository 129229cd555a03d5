//! A store whose conditions on writes are checked just before the write, which is enough if there is only one writer.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{
    bucket::{Bucket, Etag, Fenced, Head, Metadata, Object, ObjectMeta, PutMode},
    error::StoreError,
};

/// Wraps a store for an operator who makes sure that only one process writes at a time.
///
/// A create or an update reads the object first. The write still carries the condition, and is repeated without it only if the store does
/// not support it, so a store that does support it still decides between two writers that were started by mistake.
#[derive(Clone, Debug)]
pub struct SingleWriter {
    inner: Arc<dyn Bucket>,
}

impl SingleWriter {
    /// Wraps the store.
    pub fn new(inner: Arc<dyn Bucket>) -> Self {
        Self { inner }
    }

    /// Fails if the condition does not hold.
    async fn check(&self, key: &str, mode: &PutMode) -> Result<(), StoreError> {
        let expected = match mode {
            PutMode::Replace => return Ok(()),
            PutMode::Create => None,
            PutMode::Update(etag) => Some(etag),
        };
        let present = match self.inner.head(key).await {
            Ok(head) => Some(head.meta.etag),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        match (present, expected) {
            (None, Some(_)) => Err(StoreError::NotFound { key: key.to_owned() }),
            (present, expected) if present.as_ref() == expected => Ok(()),
            _ => Err(StoreError::Conflict { key: key.to_owned() }),
        }
    }
}

#[async_trait]
impl Bucket for SingleWriter {
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        self.inner.list(prefix, start_after)
    }

    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        self.inner.get(key, if_match, range).await
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
        self.check(key, &mode).await?;
        match self.inner.put(key, bytes.clone(), mode.clone(), metadata).await {
            Err(error) if mode != PutMode::Replace && error.is_not_supported() => {
                self.inner.put(key, bytes, PutMode::Replace, metadata).await
            }
            written => written,
        }
    }

    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
        self.inner.copy(from, source_if_match, to, metadata).await
    }

    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        self.inner.delete(key, if_match).await
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        self.inner.head(key).await
    }

    async fn fenced(&self) -> Result<Fenced, StoreError> {
        let Fenced { bucket, store_time } = self.inner.fenced().await?;
        Ok(Fenced {
            bucket: Arc::new(Self::new(bucket)),
            store_time,
        })
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        self.inner.sweep().await
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }
}
