//! Execution of released operations, with faults.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Weak},
};

use datalake_store::error::StoreError;
use futures_util::FutureExt;
use parking_lot::Mutex;

use super::{
    operation::Operation,
    queue::{Queue, SharedQueue},
    reply::Reply,
};
use crate::fault::{DelayedWrite, Fault};

/// A released operation and its result.
#[derive(Debug)]
pub(crate) struct CompletedOperation {
    pub(crate) operation: Operation,
    /// A digest of everything that the actor learned.
    pub(crate) digest: u64,
    /// The result for schedules and traces.
    pub(crate) result: &'static str,
    /// A write that the store has not executed yet.
    pub(crate) delayed: Option<DelayedWrite>,
}

impl CompletedOperation {
    /// The arrival of a delayed response.
    pub(super) fn of_completion(operation: Operation) -> Self {
        Self {
            operation,
            digest: 0,
            result: "ok",
            delayed: None,
        }
    }
}

/// An operation that has not been executed.
pub(super) struct Request<W> {
    operation: Operation,
    work: W,
    queue: Weak<Mutex<Queue>>,
}

impl<W> Request<W> {
    pub(super) fn new(operation: Operation, work: W, queue: &SharedQueue) -> Self {
        Self {
            operation,
            work,
            queue: Arc::downgrade(queue),
        }
    }

    /// Executes the operation with a fault.
    pub(super) fn execute<T, F>(mut self, fault: Fault) -> (Result<T, StoreError>, CompletedOperation)
    where
        W: FnMut() -> F,
        T: Reply + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let key = self.operation.key.clone();
        let key = key.as_str();
        let mut delayed = None;
        let result = match fault {
            Fault::None | Fault::Delay => self.run(),
            Fault::FailBefore => Err(unavailable(key)),
            Fault::FailAfter => self.run().and(Err(unavailable(key))),
            Fault::Conflict => Err(StoreError::Conflict { key: key.to_owned() }),
            Fault::ConflictAfter => self.run().and(Err(StoreError::Conflict {
                key: self.operation.key.clone(),
            })),
            Fault::DiskFull => Err(StoreError::Unavailable {
                key: key.to_owned(),
                reason: "no space left on device".to_owned(),
                attempts: 1,
                cause: None,
            }),
            Fault::Duplicate => {
                delayed = Some(DelayedWrite::new((self.work)().map(drop)));
                self.run()
            }
            Fault::ArriveLate => {
                delayed = Some(DelayedWrite::new((self.work)().map(drop)));
                Err(unavailable(&self.operation.key))
            }
            Fault::ShortBody => self.run().and_then(T::truncated),
            Fault::StaleListing(_) => {
                let queue = self.queue.upgrade();
                let hidden = queue.map(|queue| std::mem::take(&mut queue.lock().hidden));
                self.run().map(|reply| reply.without(&hidden.unwrap_or_default()))
            }
        };
        let mut hasher = DefaultHasher::new();
        let outcome = match &result {
            Ok(reply) => {
                reply.digest(&mut hasher);
                "ok"
            }
            Err(error) => {
                let outcome = describe(error);
                outcome.hash(&mut hasher);
                outcome
            }
        };
        let completed = CompletedOperation {
            operation: self.operation,
            digest: hasher.finish(),
            result: outcome,
            delayed,
        };
        (result, completed)
    }

    fn run<T, F>(&mut self) -> Result<T, StoreError>
    where
        W: FnMut() -> F,
        F: Future<Output = Result<T, StoreError>>,
    {
        (self.work)().now_or_never().expect("the in-memory store responds at once")
    }
}

pub(super) fn unavailable(key: &str) -> StoreError {
    StoreError::Unavailable {
        key: key.to_owned(),
        reason: "the store does not respond".to_owned(),
        attempts: 1,
        cause: None,
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
