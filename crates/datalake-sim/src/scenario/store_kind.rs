//! Kinds of stores.

use std::fmt;

use datalake_store::memory::{EtagInput, Expiry, MemoryBucket};

/// What kind of store a scenario runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKind {
    /// What ETags are made of.
    pub tags: EtagInput,
    /// How fenced writes expire.
    pub expiry: Expiry,
}

impl StoreKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::new(EtagInput::BytesAndMetadata, Expiry::Timed),
        Self::new(EtagInput::Bytes, Expiry::Timed),
        Self::new(EtagInput::BytesAndMetadata, Expiry::Swept),
        Self::new(EtagInput::Bytes, Expiry::Never),
        Self::new(EtagInput::BytesAndMetadata, Expiry::Never),
        Self::new(EtagInput::Bytes, Expiry::Swept),
    ];

    const fn new(tags: EtagInput, expiry: Expiry) -> Self {
        Self { tags, expiry }
    }

    /// An empty store of this kind.
    pub fn store(self) -> MemoryBucket {
        MemoryBucket::new().with_etags_of(self.tags).expiring(self.expiry).frozen()
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tags = match self.tags {
            EtagInput::BytesAndMetadata => "unique",
            EtagInput::Bytes => "content",
        };
        let expiry = match self.expiry {
            Expiry::Timed => "timed",
            Expiry::Swept => "swept",
            Expiry::Never => "never",
        };
        write!(f, "{tags}-{expiry}")
    }
}
