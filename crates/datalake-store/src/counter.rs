//! Counts what is asked of a store.

use std::sync::atomic::{AtomicU64, Ordering};

use datalake_core::report::Requests;

/// Requests to S3 by kind, each attempt of each; or operations on a folder or memory, a listing as one for each 1,000 objects begun.
#[derive(Debug, Default)]
pub struct RequestCounter {
    list: AtomicU64,
    get: AtomicU64,
    put: AtomicU64,
    copy: AtomicU64,
    delete: AtomicU64,
    head: AtomicU64,
}

/// Objects of one page of a listing: S3's own limit.
pub const PAGE_OBJECTS: usize = 1_000;

impl RequestCounter {
    /// A page was listed.
    pub fn count_list(&self) {
        self.list.fetch_add(1, Ordering::Relaxed);
    }

    /// An object or a part of one was read.
    pub fn count_get(&self) {
        self.get.fetch_add(1, Ordering::Relaxed);
    }

    /// An object or a part of one was written.
    pub fn count_put(&self) {
        self.put.fetch_add(1, Ordering::Relaxed);
    }

    /// An object was copied.
    pub fn count_copy(&self) {
        self.copy.fetch_add(1, Ordering::Relaxed);
    }

    /// An object was removed.
    pub fn count_delete(&self) {
        self.delete.fetch_add(1, Ordering::Relaxed);
    }

    /// A description was asked for.
    pub fn count_head(&self) {
        self.head.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts so far.
    pub fn snapshot(&self) -> Requests {
        Requests {
            list: self.list.load(Ordering::Relaxed),
            get: self.get.load(Ordering::Relaxed),
            put: self.put.load(Ordering::Relaxed),
            copy: self.copy.load(Ordering::Relaxed),
            delete: self.delete.load(Ordering::Relaxed),
            head: self.head.load(Ordering::Relaxed),
        }
    }
}
