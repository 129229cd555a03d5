//! Reads that callers share: for any number of callers, at most one read of a value is in progress.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Weak},
};

use tokio::{sync::Mutex, time::Instant};

/// A read whose result is never older than the call. At most one read is in progress; callers that arrive during it share the next one.
#[derive(Debug)]
pub(crate) struct SharedRead<T>(Mutex<Option<Last<T>>>);

/// The last result, and when its read started.
#[derive(Debug)]
struct Last<T> {
    started_at: Instant,
    result: T,
}

impl<T> Default for SharedRead<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> SharedRead<T> {
    /// The result of a read that started after this call and that `suits` the caller; calls `read` if there is none. If the caller is dropped, the
    /// next waiting caller reads.
    pub(crate) async fn get(&self, suits: impl Fn(&T) -> bool, read: impl AsyncFnOnce() -> T) -> T {
        let called_at = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(Last { started_at, result }) = &*last
            && *started_at > called_at
            && suits(result)
        {
            return result.clone();
        }
        let started_at = Instant::now();
        let result = read().await;
        *last = Some(Last {
            started_at,
            result: result.clone(),
        });
        result
    }
}

/// Shared reads by key. A key is removed when no caller waits for it.
#[derive(Debug)]
pub(crate) struct SharedReads<K, T>(parking_lot::Mutex<HashMap<K, Weak<SharedRead<T>>>>);

impl<K, T> Default for SharedReads<K, T> {
    fn default() -> Self {
        Self(parking_lot::Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, T: Clone> SharedReads<K, T> {
    /// The result of a read of `key` that started after this call.
    pub(crate) async fn get(&self, key: &K, read: impl AsyncFnOnce() -> T) -> T {
        let shared = self.entry(key);
        shared.get(|_| true, read).await
    }

    fn entry(&self, key: &K) -> Arc<SharedRead<T>> {
        let mut reads = self.0.lock();
        if let Some(read) = reads.get(key).and_then(Weak::upgrade) {
            return read;
        }
        // This bounds the map by the number of waiting callers.
        reads.retain(|_, read| read.strong_count() > 0);
        let read = Arc::default();
        reads.insert(key.clone(), Arc::downgrade(&read));
        read
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use futures_util::future::join_all;

    use super::*;

    async fn counted(reads: &AtomicU32) -> u32 {
        let number = reads.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
        number
    }

    #[tokio::test(start_paused = true)]
    async fn callers_during_a_read_share_the_next() {
        let (shared, reads) = (SharedRead::default(), AtomicU32::new(0));
        let get = || shared.get(|_| true, async || counted(&reads).await);
        let first = get();
        let later = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            join_all((0..100).map(|_| get())).await
        };
        let (first, later) = tokio::join!(first, later);
        assert_eq!(first, 0);
        assert_eq!(later, [1; 100], "the first read started before they called");
    }

    #[tokio::test(start_paused = true)]
    async fn next_caller_reads_if_a_caller_is_dropped() {
        let (shared, reads) = (SharedRead::default(), AtomicU32::new(0));
        let get = || shared.get(|_| true, async || counted(&reads).await);
        let cancelled = tokio::time::timeout(Duration::from_millis(10), get());
        let waiting = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            get().await
        };
        let (cancelled, waiting) = tokio::join!(cancelled, waiting);
        assert!(cancelled.is_err());
        assert_eq!(waiting, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_read_separately_and_removed_after_use() {
        let (shared, reads) = (SharedReads::default(), AtomicU32::new(0));
        let get = async |key| shared.get(&key, async || counted(&reads).await).await;
        tokio::join!(get("a"), get("b"));
        get("c").await;
        assert_eq!(reads.load(Ordering::Relaxed), 3);
        assert_eq!(shared.0.lock().len(), 1, "reads without callers are removed");
    }
}
