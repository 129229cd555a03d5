//! A bucket whose operations wait until the scheduler releases them.

use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

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

use crate::fate::{Fate, Late};

/// An operation that an actor asks of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What it is.
    pub kind: OperationKind,
    /// The key, or the prefix of a listing. Of a copy it is the target. Empty for a fence and a sweep.
    pub key: String,
    /// What a copy reads.
    pub source: Option<String>,
    /// Whether it has a precondition.
    pub is_conditional: bool,
    /// Whether it goes through a view that expires.
    pub is_fenced: bool,
    /// Whether the operation took effect earlier and only its completion is left.
    pub is_completion: bool,
}

impl Operation {
    fn new(kind: OperationKind, key: &str) -> Self {
        Self {
            kind,
            key: key.to_owned(),
            source: None,
            is_conditional: false,
            is_fenced: false,
            is_completion: false,
        }
    }

    /// Whether it may change an object.
    pub fn is_write(&self) -> bool {
        !self.is_completion && matches!(self.kind, OperationKind::Put | OperationKind::Copy | OperationKind::Delete)
    }

    /// The name of its kind, as schedules spell it.
    pub fn name(&self) -> &'static str {
        match (self.is_completion, self.kind) {
            (true, _) => "complete",
            (false, OperationKind::List) => "list",
            (false, OperationKind::Get) => "get",
            (false, OperationKind::Put) => "put",
            (false, OperationKind::Copy) => "copy",
            (false, OperationKind::Delete) => "delete",
            (false, OperationKind::Head) => "head",
            (false, OperationKind::Fence) => "fence",
            (false, OperationKind::Sweep) => "sweep",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), if self.key.is_empty() { "-" } else { &self.key })
    }
}

/// What became of a released operation.
#[derive(Debug)]
pub(crate) struct Performed {
    pub(crate) operation: Operation,
    /// A digest of everything that the actor learned.
    pub(crate) digest: u64,
    /// The result in a few words.
    pub(crate) result: &'static str,
    /// A write that the store has not carried out yet.
    pub(crate) late: Option<Late>,
}

/// Carries an operation out as its fate says.
type Work = Box<dyn FnOnce(Fate) -> Performed + Send>;

/// The operations of one actor that wait for the store.
#[derive(Default)]
pub(crate) struct Queue {
    next_id: u64,
    waiting: VecDeque<Waiting>,
    /// Keys that the next listing lacks.
    pub(crate) hidden: Vec<String>,
}

struct Waiting {
    id: u64,
    operation: Operation,
    work: Work,
    waker: Waker,
}

/// A queue that the gate and the scheduler share. Both live on one thread; the lock is there because buckets are `Sync`.
pub(crate) type SharedQueue = Arc<Mutex<Queue>>;

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// The operation that is released next: the one that has waited longest.
    pub(crate) fn head(&self) -> Option<&Operation> {
        self.waiting.front().map(|waiting| &waiting.operation)
    }
}

/// Lets the store carry out the first operation of the queue. Its actor sees the result when it is polled next.
pub(crate) fn release(queue: &SharedQueue, fate: Fate) -> Option<Performed> {
    let first = lock(queue).waiting.pop_front()?;
    let performed = (first.work)(fate);
    first.waker.wake();
    Some(performed)
}

/// Waits until the scheduler has released the operation.
struct Turn<'a> {
    queue: &'a SharedQueue,
    request: Option<(Operation, Work)>,
    id: u64,
}

impl<'a> Turn<'a> {
    fn new(queue: &'a SharedQueue, operation: Operation, work: Work) -> Self {
        Self {
            queue,
            request: Some((operation, work)),
            id: 0,
        }
    }
}

impl Future for Turn<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let request = self.request.take();
        let mut queue = lock(self.queue);
        if let Some((operation, work)) = request {
            queue.next_id += 1;
            let id = queue.next_id;
            queue.waiting.push_back(Waiting {
                id,
                operation,
                work,
                waker: context.waker().clone(),
            });
            drop(queue);
            self.id = id;
            return Poll::Pending;
        }
        match queue.waiting.iter_mut().find(|waiting| waiting.id == self.id) {
            Some(waiting) => {
                waiting.waker.clone_from(context.waker());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // A caller that gives up takes its operation back. What the operation holds is dropped without the lock.
        let mut queue = lock(self.queue);
        let index = queue.waiting.iter().position(|waiting| waiting.id == self.id);
        let waiting = index.and_then(|index| queue.waiting.remove(index));
        drop(queue);
        drop(waiting);
    }
}

/// The store as one actor reaches it.
#[derive(Clone)]
pub(crate) struct Gate {
    inner: Arc<dyn Bucket>,
    queue: SharedQueue,
    is_fenced: bool,
    /// Whether the store creates what exists, as one without conditional writes does.
    ignores_create: bool,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("is_fenced", &self.is_fenced).finish_non_exhaustive()
    }
}

impl Gate {
    pub(crate) fn new(inner: Arc<dyn Bucket>, queue: SharedQueue) -> Self {
        Self {
            inner,
            queue,
            is_fenced: false,
            ignores_create: false,
        }
    }

    /// The gate to a store without conditional creates.
    pub(crate) fn ignoring_create(self, ignores_create: bool) -> Self {
        Self { ignores_create, ..self }
    }

    fn operation(&self, kind: OperationKind, key: &str) -> Operation {
        Operation {
            is_fenced: self.is_fenced,
            ..Operation::new(kind, key)
        }
    }

    /// Waits until the store has carried the operation out, as its fate says.
    async fn perform<T, F>(&self, operation: Operation, work: impl FnMut() -> F + Send + 'static) -> Result<T, StoreError>
    where
        T: Answer + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let answer = Arc::new(Mutex::new(None));
        let request = Request {
            operation: operation.clone(),
            work,
            queue: Arc::downgrade(&self.queue),
        };
        let slot = Arc::clone(&answer);
        let work = Box::new(move |fate| {
            let (result, performed) = request.carry_out(fate);
            *lock(&slot) = Some((result, fate));
            performed
        });
        Turn::new(&self.queue, operation.clone(), work).await;
        let (result, fate) = lock(&answer).take().expect("what was released was carried out");
        if fate == Fate::Delay {
            let completion = Operation {
                is_completion: true,
                ..operation
            };
            let operation = completion.clone();
            let work = Box::new(move |_| Performed {
                operation,
                digest: 0,
                result: "ok",
                late: None,
            });
            Turn::new(&self.queue, completion, work).await;
        }
        result
    }
}

/// An operation, and how the store carries it out.
struct Request<W> {
    operation: Operation,
    work: W,
    queue: Weak<Mutex<Queue>>,
}

impl<W> Request<W> {
    fn carry_out<T, F>(mut self, fate: Fate) -> (Result<T, StoreError>, Performed)
    where
        W: FnMut() -> F,
        T: Answer + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let key = self.operation.key.clone();
        let key = key.as_str();
        let mut late = None;
        let result = match fate {
            Fate::Pass | Fate::Delay => self.now(),
            Fate::FailBefore => Err(unavailable(key)),
            Fate::FailAfter => self.now().and(Err(unavailable(key))),
            Fate::Conflict => Err(StoreError::Conflict { key: key.to_owned() }),
            Fate::ConflictAfter => self.now().and(Err(StoreError::Conflict {
                key: self.operation.key.clone(),
            })),
            Fate::Full => Err(StoreError::Unavailable {
                key: key.to_owned(),
                reason: "no space left on device".to_owned(),
                attempts: 1,
                source: None,
            }),
            Fate::Twice => {
                late = Some(Late::new((self.work)().map(drop)));
                self.now()
            }
            Fate::Late => {
                late = Some(Late::new((self.work)().map(drop)));
                Err(unavailable(&self.operation.key))
            }
            Fate::Short => self.now().and_then(T::cut),
            Fate::Stale(_) => {
                let queue = self.queue.upgrade();
                let hidden = queue.map(|queue| std::mem::take(&mut lock(&queue).hidden));
                self.now().map(|answer| answer.without(&hidden.unwrap_or_default()))
            }
        };
        let mut hasher = DefaultHasher::new();
        let outcome = match &result {
            Ok(answer) => {
                answer.digest(&mut hasher);
                "ok"
            }
            Err(error) => {
                let outcome = describe(error);
                outcome.hash(&mut hasher);
                outcome
            }
        };
        let performed = Performed {
            operation: self.operation,
            digest: hasher.finish(),
            result: outcome,
            late,
        };
        (result, performed)
    }

    fn now<T, F>(&mut self) -> Result<T, StoreError>
    where
        W: FnMut() -> F,
        F: Future<Output = Result<T, StoreError>>,
    {
        (self.work)().now_or_never().expect("the store in memory answers at once")
    }
}

fn unavailable(key: &str) -> StoreError {
    StoreError::Unavailable {
        key: key.to_owned(),
        reason: "the store does not respond".to_owned(),
        attempts: 1,
        source: None,
    }
}

fn describe(error: &StoreError) -> &'static str {
    match error {
        StoreError::NotFound { .. } => "not found",
        StoreError::Conflict { .. } => "conflict",
        StoreError::Expired { .. } => "expired",
        StoreError::Denied { .. } => "denied",
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::Invalid { .. } => "invalid",
    }
}

/// What an actor learns from an operation.
trait Answer: Sized {
    fn digest(&self, hasher: &mut DefaultHasher);

    /// What a client makes of a body that ends early.
    fn cut(self) -> Result<Self, StoreError> {
        Ok(self)
    }

    /// A listing that lacks these keys.
    fn without(self, _hidden: &[String]) -> Self {
        self
    }
}

fn digest_meta(meta: &ObjectMeta, hasher: &mut DefaultHasher) {
    (&meta.key, &meta.etag, meta.size, meta.modified).hash(hasher);
}

impl Answer for Vec<ObjectMeta> {
    fn digest(&self, hasher: &mut DefaultHasher) {
        self.len().hash(hasher);
        for meta in self {
            digest_meta(meta, hasher);
        }
    }

    fn without(mut self, hidden: &[String]) -> Self {
        self.retain(|meta| !hidden.contains(&meta.key));
        self
    }
}

impl Answer for Object {
    fn digest(&self, hasher: &mut DefaultHasher) {
        digest_meta(&self.meta, hasher);
        self.metadata.hash(hasher);
        self.bytes.len().hash(hasher);
    }

    /// The adapters compare lengths and report a body that ended early, once their retries are spent.
    fn cut(self) -> Result<Self, StoreError> {
        Err(unavailable(&self.meta.key))
    }
}

impl Answer for Head {
    fn digest(&self, hasher: &mut DefaultHasher) {
        digest_meta(&self.meta, hasher);
        self.metadata.hash(hasher);
    }
}

impl Answer for Etag {
    fn digest(&self, hasher: &mut DefaultHasher) {
        self.hash(hasher);
    }
}

impl Answer for () {
    fn digest(&self, _: &mut DefaultHasher) {}
}

impl Answer for u64 {
    fn digest(&self, hasher: &mut DefaultHasher) {
        self.hash(hasher);
    }
}

impl Answer for Fenced {
    fn digest(&self, hasher: &mut DefaultHasher) {
        self.store_time.hash(hasher);
    }
}

#[async_trait]
impl Bucket for Gate {
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
