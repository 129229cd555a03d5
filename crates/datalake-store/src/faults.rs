//! Fault injection for tests: a store that fails as a script decides.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};

use crate::{
    bucket::{Bucket, Etag, Fenced, Head, Metadata, Object, ObjectMeta, PutMode},
    error::StoreError,
};

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are the operations of the trait `Bucket`")]
pub enum OperationKind {
    List,
    Get,
    Put,
    Copy,
    Delete,
    Head,
    Fence,
    Sweep,
}

/// An operation, as the script sees it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The number of the operation on the store, from 0.
    pub number: u64,
    /// The kind of the operation.
    pub kind: OperationKind,
    /// The key. For a listing, the prefix; for a copy, the target.
    pub key: String,
}

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultAction {
    /// It is executed.
    Pass,
    /// It is not executed: `Unavailable`.
    FailBefore,
    /// It is executed, but its response is lost: `Unavailable`.
    FailAfter,
    /// It is not executed: `Conflict`.
    Conflict,
    /// It is not executed: `NotFound`.
    Vanish,
    /// It is not executed: `Denied`.
    Deny,
    /// Neither it nor any later operation is executed, as if the process had been killed.
    HaltBefore,
    /// It is executed, but no later operation is.
    HaltAfter,
    /// The precondition of a put is ignored, as by a store that does not know it.
    IgnoreCondition,
    /// A put with a precondition is rejected, as by a store that reports that it does not support it. Other operations are executed.
    RefuseCondition,
}

/// Decides what happens to each operation.
pub type Script = dyn Fn(&Operation) -> FaultAction + Send + Sync;
/// Runs before an operation is executed, for example to let another actor act first.
pub type Hook = dyn Fn(Operation) -> BoxFuture<'static, ()> + Send + Sync;

/// A store with faults. Clones share the number of operations.
#[derive(Clone)]
pub struct Faulty {
    inner: Arc<dyn Bucket>,
    script: Arc<Script>,
    hook: Arc<Hook>,
    operations: Arc<AtomicU64>,
    halted: Arc<AtomicBool>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Faulty {
    /// Wraps a store with the faults of a script.
    pub fn new(inner: Arc<dyn Bucket>, script: impl Fn(&Operation) -> FaultAction + Send + Sync + 'static) -> Self {
        Self::with_hook(inner, script, |_| async {}.boxed())
    }

    /// Wraps a store with the faults of a script and a hook that runs before each operation.
    pub fn with_hook(
        inner: Arc<dyn Bucket>,
        script: impl Fn(&Operation) -> FaultAction + Send + Sync + 'static,
        hook: impl Fn(Operation) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            script: Arc::new(script),
            hook: Arc::new(hook),
            operations: Arc::default(),
            halted: Arc::default(),
        }
    }

    /// The number of operations so far.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::SeqCst)
    }

    async fn action(&self, kind: OperationKind, key: &str) -> Result<FaultAction, StoreError> {
        let operation = Operation {
            number: self.operations.fetch_add(1, Ordering::SeqCst),
            kind,
            key: key.to_owned(),
        };
        if self.halted.load(Ordering::SeqCst) {
            return Err(unavailable(key));
        }
        let action = (self.script)(&operation);
        (self.hook)(operation).await;
        match action {
            FaultAction::FailBefore => Err(unavailable(key)),
            FaultAction::Conflict => Err(StoreError::Conflict { key: key.to_owned() }),
            FaultAction::Vanish => Err(StoreError::NotFound { key: key.to_owned() }),
            FaultAction::Deny => Err(StoreError::Denied {
                key: key.to_owned(),
                reason: "the store denies access (KMS.DisabledException)".to_owned(),
                cause: None,
            }),
            FaultAction::HaltBefore => {
                self.halted.store(true, Ordering::SeqCst);
                Err(unavailable(key))
            }
            FaultAction::Pass
            | FaultAction::FailAfter
            | FaultAction::HaltAfter
            | FaultAction::IgnoreCondition
            | FaultAction::RefuseCondition => Ok(action),
        }
    }

    fn apply_after<T>(&self, action: FaultAction, key: &str, result: Result<T, StoreError>) -> Result<T, StoreError> {
        match action {
            FaultAction::FailAfter => Err(unavailable(key)),
            FaultAction::HaltAfter => {
                self.halted.store(true, Ordering::SeqCst);
                Err(unavailable(key))
            }
            _ => result,
        }
    }
}

fn unavailable(key: &str) -> StoreError {
    StoreError::Unavailable {
        key: key.to_owned(),
        reason: "the store does not respond".to_owned(),
        attempts: 1,
        cause: None,
    }
}

#[async_trait]
impl Bucket for Faulty {
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<ObjectMeta, StoreError>> {
        let this = self.clone();
        let (prefix, start_after) = (prefix.to_owned(), start_after.map(ToOwned::to_owned));
        async move {
            let action = this.action(OperationKind::List, &prefix).await?;
            this.apply_after(action, &prefix, Ok(()))?;
            Ok::<_, StoreError>(this.inner.list(&prefix, start_after.as_deref()))
        }
        .into_stream()
        .try_flatten()
        .boxed()
    }

    async fn get(&self, key: &str, if_match: Option<&Etag>, range: Option<Range<u64>>) -> Result<Object, StoreError> {
        let action = self.action(OperationKind::Get, key).await?;
        self.apply_after(action, key, self.inner.get(key, if_match, range).await)
    }

    async fn put(&self, key: &str, bytes: Bytes, mode: PutMode, metadata: &Metadata) -> Result<Etag, StoreError> {
        let action = self.action(OperationKind::Put, key).await?;
        if action == FaultAction::RefuseCondition && mode != PutMode::Replace {
            let reason = "this store does not support conditions".to_owned();
            return Err(StoreError::not_supported(key, reason, "injected by the script".to_owned()));
        }
        let mode = if action == FaultAction::IgnoreCondition {
            PutMode::Replace
        } else {
            mode
        };
        self.apply_after(action, key, self.inner.put(key, bytes, mode, metadata).await)
    }

    async fn copy(&self, from: &str, source_if_match: &Etag, to: &str, metadata: &Metadata) -> Result<Etag, StoreError> {
        let action = self.action(OperationKind::Copy, to).await?;
        self.apply_after(action, to, self.inner.copy(from, source_if_match, to, metadata).await)
    }

    async fn delete(&self, key: &str, if_match: Option<&Etag>) -> Result<(), StoreError> {
        let action = self.action(OperationKind::Delete, key).await?;
        self.apply_after(action, key, self.inner.delete(key, if_match).await)
    }

    async fn head(&self, key: &str) -> Result<Head, StoreError> {
        let action = self.action(OperationKind::Head, key).await?;
        self.apply_after(action, key, self.inner.head(key).await)
    }

    async fn fenced(&self) -> Result<Fenced, StoreError> {
        let action = self.action(OperationKind::Fence, "").await?;
        let Fenced { bucket, store_time } = self.apply_after(action, "", self.inner.fenced().await)?;
        let view = Self {
            inner: bucket,
            ..self.clone()
        };
        Ok(Fenced {
            bucket: Arc::new(view),
            store_time,
        })
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        let action = self.action(OperationKind::Sweep, "").await?;
        self.apply_after(action, "", self.inner.sweep().await)
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }
}
