//! The kinds of stores over which scenarios run.

use std::fmt;

use datalake_store::memory::{EtagInput, Expiry, MemoryBucket};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKind {
    /// The input of ETags.
    pub etags: EtagInput,
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

    const fn new(etags: EtagInput, expiry: Expiry) -> Self {
        Self { etags, expiry }
    }

    /// An empty store of this kind.
    pub fn store(self) -> MemoryBucket {
        MemoryBucket::new().with_etags_of(self.etags).expiring(self.expiry).frozen()
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let etags = match self.etags {
            EtagInput::BytesAndMetadata => "unique",
            EtagInput::Bytes => "content",
        };
        let expiry = match self.expiry {
            Expiry::Timed => "timed",
            Expiry::Swept => "swept",
            Expiry::Never => "never",
        };
        write!(f, "{etags}-{expiry}")
    }
}
