//! Counts the requests to a store.

use std::sync::atomic::{AtomicU64, Ordering};

use datalake_core::run::Requests;

/// Request counts by kind. On S3, each attempt counts. In a folder or memory, each operation counts, and a listing counts once for each
/// 1,000 objects or part of them.
#[derive(Debug, Default)]
pub struct RequestCounter {
    list: AtomicU64,
    get: AtomicU64,
    put: AtomicU64,
    copy: AtomicU64,
    delete: AtomicU64,
    head: AtomicU64,
}

/// The number of objects in a page of a listing, which is the limit of S3.
pub const PAGE_OBJECTS: usize = 1_000;

impl RequestCounter {
    /// Counts a page of a listing.
    pub fn count_list(&self) {
        self.list.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a read of an object or a part of one.
    pub fn count_get(&self) {
        self.get.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a write of an object or a part of one.
    pub fn count_put(&self) {
        self.put.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a copy.
    pub fn count_copy(&self) {
        self.copy.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a deletion.
    pub fn count_delete(&self) {
        self.delete.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a read of an object's description.
    pub fn count_head(&self) {
        self.head.fetch_add(1, Ordering::Relaxed);
    }

    /// The current counts.
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
