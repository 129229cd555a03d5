//! The store as an actor reaches it: a bucket whose operations wait until the scheduler releases them.

mod execution;
mod operation;
mod queue;
mod reply;

use std::{fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use datalake_store::{
    bucket::{Bucket, Etag, Fenced, Head, Metadata, Object, ObjectMeta, PutMode},
    error::StoreError,
    faults::OperationKind,
};
use futures_util::{
    FutureExt, StreamExt,
    stream::{self, BoxStream},
};

pub(crate) use self::operation::Operation;
pub(crate) use self::{
    execution::CompletedOperation,
    queue::{SharedQueue, release},
};
use self::{execution::Request, queue::Release, reply::Reply};
use crate::fault::Fault;

/// The store of one actor.
#[derive(Clone)]
pub(crate) struct GatedBucket {
    inner: Arc<dyn Bucket>,
    queue: SharedQueue,
    is_fenced: bool,
    /// Whether a create replaces an existing object, as in a store without conditional writes.
    ignores_create: bool,
}

impl fmt::Debug for GatedBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatedBucket")
            .field("is_fenced", &self.is_fenced)
            .finish_non_exhaustive()
    }
}

impl GatedBucket {
    pub(crate) fn new(inner: Arc<dyn Bucket>, queue: SharedQueue) -> Self {
        Self {
            inner,
            queue,
            is_fenced: false,
            ignores_create: false,
        }
    }

    /// Whether the store lacks conditional creates.
    pub(crate) fn ignoring_create(self, ignores_create: bool) -> Self {
        Self { ignores_create, ..self }
    }

    fn operation(&self, kind: OperationKind, key: &str) -> Operation {
        Operation {
            is_fenced: self.is_fenced,
            ..Operation::new(kind, key)
        }
    }

    /// Waits until the scheduler has released the operation, and returns its result.
    async fn perform<T, F>(&self, operation: Operation, work: impl FnMut() -> F + Send + 'static) -> Result<T, StoreError>
    where
        T: Reply + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let reply = Arc::new(parking_lot::Mutex::new(None));
        let request = Request::new(operation.clone(), work, &self.queue);
        let slot = Arc::clone(&reply);
        let work = Box::new(move |fault| {
            let (result, completed) = request.execute(fault);
            *slot.lock() = Some((result, fault));
            completed
        });
        Release::new(&self.queue, operation.clone(), work).await;
        let (result, fault) = reply.lock().take().expect("a released operation has been executed");
        if fault == Fault::Delay {
            let completion = Operation {
                is_completion: true,
                ..operation
            };
            let operation = completion.clone();
            let work = Box::new(move |_| CompletedOperation::of_completion(operation));
            Release::new(&self.queue, completion, work).await;
        }
        result
    }
}

#[async_trait]
impl Bucket for GatedBucket {
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        let this = self.clone();
        let (prefix, start_after) = (prefix.to_owned(), start_after.map(ToOwned::to_owned));
        let listed = async move {
            let operation = this.operation(OperationKind::List, &prefix);
            let inner = Arc::clone(&this.inner);
            let objects = move || {
                let objects = inner.list(&prefix, start_after.as_deref()).collect::<Vec<_>>();
                objects.map(|objects| objects.into_iter().collect::<Result<Vec<_>, _>>())
            };
            match this.perform(operation, objects).await {
                Ok(objects) => objects.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        };
        listed.map(stream::iter).flatten_stream().boxed()
    }

    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        let operation = Operation {
            is_conditional: if_match.is_some(),
            ..self.operation(OperationKind::Get, key)
        };
        let (inner, key, if_match) = (Arc::clone(&self.inner), key.to_owned(), if_match.cloned());
        let work = move || {
            let (inner, key, if_match, range) = (Arc::clone(&inner), key.clone(), if_match.clone(), range.clone());
            async move { inner.get(&key, if_match.as_ref(), range).await }
        };
        self.perform(operation, work).await
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
        let operation = Operation {
            is_conditional: mode != PutMode::Replace,
            ..self.operation(OperationKind::Put, key)
        };
        let mode = match mode {
            PutMode::Create if self.ignores_create => PutMode::Replace,
            mode => mode,
        };
        let (inner, key, metadata) = (Arc::clone(&self.inner), key.to_owned(), metadata.clone());
        let work = move || {
            let (inner, key, bytes, mode, metadata) = (Arc::clone(&inner), key.clone(), bytes.clone(), mode.clone(), metadata.clone());
            async move { inner.put(&key, bytes, mode, &metadata).await }
        };
        self.perform(operation, work).await
    }

    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
        let operation = Operation {
            source: Some(from.to_owned()),
            is_conditional: true,
            ..self.operation(OperationKind::Copy, to)
        };
        let (inner, from, to) = (Arc::clone(&self.inner), from.to_owned(), to.to_owned());
        let (etag, metadata) = (source_if_match.clone(), metadata.clone());
        let work = move || {
            let (inner, from, to) = (Arc::clone(&inner), from.clone(), to.clone());
            let (etag, metadata) = (etag.clone(), metadata.clone());
            async move { inner.copy(&from, &etag, &to, &metadata).await }
        };
        self.perform(operation, work).await
    }

    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        let operation = Operation {
            is_conditional: if_match.is_some(),
            ..self.operation(OperationKind::Delete, key)
        };
        let (inner, key, if_match) = (Arc::clone(&self.inner), key.to_owned(), if_match.cloned());
        let work = move || {
            let (inner, key, if_match) = (Arc::clone(&inner), key.clone(), if_match.clone());
            async move { inner.delete(&key, if_match.as_ref()).await }
        };
        self.perform(operation, work).await
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        let operation = self.operation(OperationKind::Head, key);
        let (inner, key) = (Arc::clone(&self.inner), key.to_owned());
        let work = move || {
            let (inner, key) = (Arc::clone(&inner), key.clone());
            async move { inner.head(&key).await }
        };
        self.perform(operation, work).await
    }

    async fn fenced(&self) -> Result<Fenced, StoreError> {
        let operation = self.operation(OperationKind::Fence, "");
        let inner = Arc::clone(&self.inner);
        let work = move || {
            let inner = Arc::clone(&inner);
            async move { inner.fenced().await }
        };
        let Fenced { bucket, store_time } = self.perform(operation, work).await?;
        let view = Self {
            inner: bucket,
            is_fenced: true,
            ..self.clone()
        };
        Ok(Fenced {
            bucket: Arc::new(view),
            store_time,
        })
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let operation = self.operation(OperationKind::Sweep, "");
        let inner = Arc::clone(&self.inner);
        let work = move || {
            let inner = Arc::clone(&inner);
            async move { inner.sweep().await }
        };
        self.perform(operation, work).await
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }
}
