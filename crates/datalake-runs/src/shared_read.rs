//! Reads that callers share: however many clients request the same, it is read once at a time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, PoisonError, Weak},
};

use tokio::{sync::Mutex, time::Instant};

/// A read whose callers each get a result that was read after their call. At most one read goes on; callers that arrive meanwhile share the next.
#[derive(Debug)]
pub(crate) struct SharedRead<T>(Mutex<Option<Last<T>>>);

/// The last result, and when its read began.
#[derive(Debug)]
struct Last<T> {
    began_at: Instant,
    result: T,
}

impl<T> Default for SharedRead<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> SharedRead<T> {
    /// The result of a read that began after this call, and that suits the caller; `read` where there is none. A caller that is dropped leaves the
    /// read to the next.
    pub(crate) async fn get(&self, suits: impl Fn(&T) -> bool, read: impl AsyncFnOnce() -> T) -> T {
        let called_at = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(Last { began_at, result }) = &*last
            && *began_at > called_at
            && suits(result)
        {
            return result.clone();
        }
        let began_at = Instant::now();
        let result = read().await;
        *last = Some(Last {
            began_at,
            result: result.clone(),
        });
        result
    }
}

/// Shared reads by a key, while any of their callers wait.
#[derive(Debug)]
pub(crate) struct SharedReads<K, T>(std::sync::Mutex<HashMap<K, Weak<SharedRead<T>>>>);

impl<K, T> Default for SharedReads<K, T> {
    fn default() -> Self {
        Self(std::sync::Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, T: Clone> SharedReads<K, T> {
    /// The result of a read of `key` that began after this call.
    pub(crate) async fn get(&self, key: &K, read: impl AsyncFnOnce() -> T) -> T {
        let shared = self.of(key);
        shared.get(|_| true, read).await
    }

    fn of(&self, key: &K) -> Arc<SharedRead<T>> {
        // An insertion is a single step: a panic elsewhere leaves the map intact.
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = reads.get(key).and_then(Weak::upgrade) {
            return read;
        }
        // As many are left as there are requests.
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
        assert_eq!(later, [1; 100], "the first read began before they called");
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_caller_leaves_the_read_to_the_next() {
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
    async fn keys_are_read_apart_and_forgotten() {
        let (shared, reads) = (SharedReads::default(), AtomicU32::new(0));
        let get = async |key| shared.get(&key, async || counted(&reads).await).await;
        tokio::join!(get("a"), get("b"));
        get("c").await;
        assert_eq!(reads.load(Ordering::Relaxed), 3);
        assert_eq!(shared.0.lock().unwrap().len(), 1, "reads without callers are forgotten");
    }
}
