//! Kinds of stores.

use std::fmt;

use datalake_store::memory::{Expiry, MemoryBucket, Tags};

/// What kind of store a scenario runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKind {
    /// What ETags are made of.
    pub tags: Tags,
    /// How fenced writes expire.
    pub expiry: Expiry,
}

impl StoreKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::new(Tags::BytesAndMetadata, Expiry::Timed),
        Self::new(Tags::Bytes, Expiry::Timed),
        Self::new(Tags::BytesAndMetadata, Expiry::Swept),
        Self::new(Tags::Bytes, Expiry::Never),
        Self::new(Tags::BytesAndMetadata, Expiry::Never),
        Self::new(Tags::Bytes, Expiry::Swept),
    ];

    const fn new(tags: Tags, expiry: Expiry) -> Self {
        Self { tags, expiry }
    }

    /// An empty store of this kind.
    pub fn store(self) -> MemoryBucket {
        MemoryBucket::new().tagged_by(self.tags).expiring(self.expiry).frozen()
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = match self.tags {
            Tags::BytesAndMetadata => "unique",
            Tags::Bytes => "content",
        };
        let expiry = match self.expiry {
            Expiry::Timed => "timed",
            Expiry::Swept => "swept",
            Expiry::Never => "never",
        };
        write!(f, "{tags}-{expiry}")
    }
}
