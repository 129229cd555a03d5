//! Runs work that scans rows on blocking threads, few at a time, so that the asynchronous threads and the store keep threads of their own.

use std::sync::Arc;

use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
};

/// Two scans use the memory bandwidth of a small machine. The other blocking threads are for the store and the table watch.
const SCANS_MAX: usize = 2;

/// The slots for scans. Clones share them.
#[derive(Clone, Debug)]
pub struct ScanPool(Arc<Semaphore>);

impl Default for ScanPool {
    fn default() -> Self {
        Self::new()
    }
}

impl ScanPool {
    /// A pool whose slots are all free.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(SCANS_MAX)))
    }

    /// Runs `work` on a blocking thread when a slot is free. A request that is cancelled while it waits leaves the queue, so
    /// the queue is no longer than the requests in flight. An error means that the work panicked or that the process is about to end.
    pub async fn scan<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let slot = Arc::clone(&self.0).acquire_owned().await.expect("the semaphore is never closed");
        tokio::task::spawn_blocking(move || {
            // The work owns the slot: it continues after the request is cancelled.
            let _slot = slot;
            work()
        })
        .await
    }

    /// Scans for a response body. A client that reads slowly may not poll the body for a long time, and would keep a slot that becomes free
    /// for it; see [`detached`].
    pub async fn scan_detached<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        let pool = self.clone();
        detached(async move { pool.scan(work).await }).await?
    }
}

/// Runs a future as a task, which makes progress even if the caller is not polled, and which ends when the caller is dropped. A future that
/// waits for a permit within a response body needs this: a semaphore reserves a free permit for the first in the queue, polled or not.
pub async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, JoinError> {
    let mut task = JoinSet::new();
    task.spawn(work);
    task.join_next().await.expect("one task was spawned")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::{FutureExt, poll};
    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn cancelled_scan_leaves_the_queue() {
        let pool = ScanPool::new();
        let (release, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let running: Vec<_> = (0..SCANS_MAX)
            .map(|_| {
                let (pool, gate) = (pool.clone(), Arc::clone(&gate));
                tokio::spawn(async move { pool.scan(move || gate.lock().recv().unwrap()).await })
            })
            .collect();
        while pool.0.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut cancelled = pool.scan(|| panic!("a cancelled scan does not run")).boxed();
        assert!(poll!(&mut cancelled).is_pending());
        drop(cancelled);
        for _ in 0..SCANS_MAX {
            release.send(()).unwrap();
        }
        for running in running {
            running.await.unwrap().unwrap();
        }
        assert_eq!(pool.scan(|| 1).await.unwrap(), 1);
    }
}
