//! The kinds of stores over which scenarios run.

use std::fmt;

use datalake_store::memory::{Expiry, MemoryBucket, Tags};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKind {
    /// The input of ETags.
    pub etags: Tags,
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

    const fn new(etags: Tags, expiry: Expiry) -> Self {
        Self { etags, expiry }
    }

    /// An empty store of this kind.
    pub fn store(self) -> MemoryBucket {
        MemoryBucket::new().tagged_by(self.etags).expiring(self.expiry).frozen()
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let etags = match self.etags {
            Tags::BytesAndMetadata => "unique",
            Tags::Bytes => "content",
        };
        let expiry = match self.expiry {
            Expiry::Timed => "timed",
            Expiry::Swept => "swept",
            Expiry::Never => "never",
        };
        write!(f, "{etags}-{expiry}")
    }
}
