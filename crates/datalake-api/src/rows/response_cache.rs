//! Small answers that were given before, by their tags: a tag names the bytes, so that none can be stale.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use crate::rows::pagination::Links;

/// Bytes of all answers held: hundreds of pages of 100 rows, and little beside the rows themselves.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What an entry takes besides its body: key, links and the map's own.
const ENTRY_BYTES: u64 = 512;

/// A page or figures.
#[derive(Clone, Debug)]
pub struct Answer {
    /// All of it.
    pub body: Bytes,
    /// What its headers say of rows on other pages.
    pub links: Links,
}

/// The answers that were asked for most. Cheap to clone; all clones share them.
#[derive(Clone)]
pub struct Answers(Arc<Cache<String, Answer, Bodies>>);

#[derive(Clone)]
struct Bodies;

impl Weighter<String, Answer> for Bodies {
    fn weight(&self, _: &String, answer: &Answer) -> u64 {
        ENTRY_BYTES + u64::try_from(answer.body.len()).unwrap_or(u64::MAX)
    }
}

impl Answers {
    /// An empty cache.
    pub fn new() -> Self {
        /// For the map's first size alone.
        const ENTRIES: usize = 1_000;
        Self(Arc::new(Cache::with_weighter(ENTRIES, BYTES_MAX, Bodies)))
    }

    /// The answer of a tag.
    pub fn get(&self, etag: &str) -> Option<Answer> {
        self.0.get(etag)
    }

    /// Keeps an answer, if it is not large.
    pub fn keep(&self, etag: &str, answer: &Answer) {
        self.0.insert(etag.to_owned(), answer.clone());
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("len", &self.0.len()).finish()
    }
}
