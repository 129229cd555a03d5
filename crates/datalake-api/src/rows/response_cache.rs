//! A cache of small responses by their ETags. An ETag identifies the bytes, so no entry can be stale.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use crate::rows::pagination::PageHeaders;
use datalake_core::count::count;

/// The size of all entries: hundreds of pages of 100 rows, and little compared with the rows themselves.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The size of an entry without its body: key, headers, and the overhead of the map.
const ENTRY_BYTES: u64 = 512;

/// A page of rows, or statistics.
#[derive(Clone, Debug)]
pub struct CachedResponse {
    /// The whole body.
    pub body: Bytes,
    /// The headers about the other pages.
    pub page_headers: PageHeaders,
}

/// The most requested responses. Cheap to clone; clones share the cache.
#[derive(Clone)]
pub struct ResponseCache(Arc<Cache<String, CachedResponse, ByBodySize>>);

#[derive(Clone)]
struct ByBodySize;

impl Weighter<String, CachedResponse> for ByBodySize {
    fn weight(&self, _: &String, response: &CachedResponse) -> u64 {
        ENTRY_BYTES + count(response.body.len())
    }
}

impl Default for ResponseCache {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseCache {
    /// An empty cache.
    pub fn new() -> Self {
        /// Only the initial capacity of the map.
        const ENTRIES: usize = 1_000;
        Self(Arc::new(Cache::with_weighter(ENTRIES, BYTES_MAX, ByBodySize)))
    }

    /// The response with this ETag.
    pub fn get(&self, etag: &str) -> Option<CachedResponse> {
        self.0.get(etag)
    }

    /// Caches a response, unless it is large.
    pub fn insert(&self, etag: &str, response: &CachedResponse) {
        self.0.insert(etag.to_owned(), response.clone());
    }
}

impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCache").field("len", &self.0.len()).finish()
    }
}
