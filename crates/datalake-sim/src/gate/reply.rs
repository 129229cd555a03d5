//! The results of operations: what an actor learns, and how faults change it.

use std::hash::{DefaultHasher, Hash};

use datalake_store::{
    bucket::{Etag, Fenced, Head, Object, ObjectMeta},
    error::StoreError,
};

use super::execution::unavailable;

/// The result of an operation.
pub(super) trait Reply: Sized {
    /// Adds to a digest everything that the actor learns.
    fn digest(&self, hasher: &mut DefaultHasher);

    /// The result of a client that receives a body that ends early.
    fn truncated(self) -> Result<Self, StoreError> {
        Ok(self)
    }

    /// The result without these keys, if it is a listing.
    fn without(self, _hidden: &[String]) -> Self {
        self
    }
}

fn digest_meta(meta: &ObjectMeta, hasher: &mut DefaultHasher) {
    (&meta.key, &meta.etag, meta.size, meta.modified).hash(hasher);
}

impl Reply for Vec<ObjectMeta> {
    fn digest(&self, hasher: &mut DefaultHasher) {
        self.len().hash(hasher);
        for meta in self {
            digest_meta(meta, hasher);
        }
    }

    fn without(mut self, hidden: &[String]) -> Self {
        self.retain(|meta| !hidden.contains(&meta.key));
        self
    }
}

impl Reply for Object {
    fn digest(&self, hasher: &mut DefaultHasher) {
        digest_meta(&self.meta, hasher);
        self.metadata.hash(hasher);
        self.bytes.len().hash(hasher);
    }

    /// The store clients compare lengths, and report a short body after their retries.
    fn truncated(self) -> Result<Self, StoreError> {
        Err(unavailable(&self.meta.key))
    }
}

impl Reply for Head {
    fn digest(&self, hasher: &mut DefaultHasher) {
        digest_meta(&self.meta, hasher);
        self.metadata.hash(hasher);
    }
}

impl Reply for Etag {
    fn digest(&self, hasher: &mut DefaultHasher) {
        self.hash(hasher);
    }
}

impl Reply for () {
    fn digest(&self, _: &mut DefaultHasher) {}
}

impl Reply for u64 {
    fn digest(&self, hasher: &mut DefaultHasher) {
        self.hash(hasher);
    }
}

impl Reply for Fenced {
    fn digest(&self, hasher: &mut DefaultHasher) {
        self.store_time.hash(hasher);
    }
}
