//! The queue between an actor and the scheduler.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use super::{execution::CompletedOperation, operation::Operation};
use crate::fault::Fault;

/// Executes an operation with a fault.
pub(super) type Work = Box<dyn FnOnce(Fault) -> CompletedOperation + Send>;

/// The pending operations of one actor.
#[derive(Default)]
pub(crate) struct Queue {
    next_id: u64,
    pending: VecDeque<PendingOperation>,
    /// Keys that are missing from the next stale listing.
    pub(crate) hidden: Vec<String>,
}

struct PendingOperation {
    id: u64,
    operation: Operation,
    work: Work,
    waker: Waker,
}

/// A queue that the bucket and the scheduler share. Both are on one thread; the lock is needed because buckets are `Sync`.
pub(crate) type SharedQueue = Arc<Mutex<Queue>>;

impl Queue {
    /// The operation that is released next: the oldest one.
    pub(crate) fn head(&self) -> Option<&Operation> {
        self.pending.front().map(|pending| &pending.operation)
    }
}

/// Executes the first operation of the queue. Its actor receives the result when it is polled next.
pub(crate) fn release(queue: &SharedQueue, fault: Fault) -> Option<CompletedOperation> {
    let first = queue.lock().pending.pop_front()?;
    let completed = (first.work)(fault);
    first.waker.wake();
    Some(completed)
}

/// Waits until the scheduler has released an operation.
pub(super) struct Release<'a> {
    queue: &'a SharedQueue,
    request: Option<(Operation, Work)>,
    id: u64,
}

impl<'a> Release<'a> {
    pub(super) fn new(queue: &'a SharedQueue, operation: Operation, work: Work) -> Self {
        Self {
            queue,
            request: Some((operation, work)),
            id: 0,
        }
    }
}

impl Future for Release<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let request = self.request.take();
        let mut queue = self.queue.lock();
        if let Some((operation, work)) = request {
            queue.next_id += 1;
            let id = queue.next_id;
            queue.pending.push_back(PendingOperation {
                id,
                operation,
                work,
                waker: context.waker().clone(),
            });
            drop(queue);
            self.id = id;
            return Poll::Pending;
        }
        match queue.pending.iter_mut().find(|pending| pending.id == self.id) {
            Some(pending) => {
                pending.waker.clone_from(context.waker());
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        // A cancelled operation is removed. Its captured values are dropped after the lock is released.
        let mut queue = self.queue.lock();
        let index = queue.pending.iter().position(|pending| pending.id == self.id);
        let pending = index.and_then(|index| queue.pending.remove(index));
        drop(queue);
        drop(pending);
    }
}
