//! Fingerprints of the objects of the store: equal fingerprints mean equal states.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
};

use datalake_core::keys;
use datalake_store::{bucket::Object, memory::MemoryBucket};

/// Digests of the objects of the store, updated with each write.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprints {
    by_key: BTreeMap<Rc<str>, [u64; 2]>,
    /// All objects with their times; only the keys of reports.
    pub(crate) all: u64,
    /// The objects that determine how the table loads, without times.
    pub(crate) table: u64,
    /// The keys, ETags and times of the sources and of the declaration.
    pub(crate) sources: u64,
}

/// Whether the content of the table depends on the object.
fn is_part_of_table(key: &str) -> bool {
    key.starts_with(keys::TABLE) && (!key.starts_with(keys::INGEST) || keys::is_rejects_file(key))
}

impl Fingerprints {
    pub(crate) fn of(store: &MemoryBucket) -> Self {
        let mut fingerprints = Self::default();
        for object in store.peek_all("") {
            fingerprints.set(&object.meta.key, Some(&object));
        }
        fingerprints
    }

    /// Updates the fingerprint of an object, and returns whether it changed.
    pub(crate) fn refresh(&mut self, store: &MemoryBucket, key: &str) -> bool {
        let before = self.all;
        self.set(key, store.peek(key).as_ref());
        before != self.all
    }

    /// The keys of objects that differ.
    pub(crate) fn differing(&self, other: &Self) -> Vec<String> {
        let all = self.by_key.keys().chain(other.by_key.keys());
        let differs = |key: &&Rc<str>| self.by_key.get(*key) != other.by_key.get(*key);
        let differing: BTreeSet<_> = all.filter(differs).map(ToString::to_string).collect();
        differing.into_iter().collect()
    }

    fn set(&mut self, key: &str, object: Option<&Object>) {
        let before = match object {
            Some(object) => self.by_key.insert(key.into(), fingerprint(object)),
            None => self.by_key.remove(key),
        };
        let [all_before, table_before] = before.unwrap_or_default();
        let [all, table] = self.by_key.get(key).copied().unwrap_or_default();
        self.all = self.all.wrapping_sub(all_before).wrapping_add(all);
        if is_part_of_table(key) {
            self.table = self.table.wrapping_sub(table_before).wrapping_add(table);
        }
        if key.starts_with(keys::SOURCES) || key == keys::DECLARATION {
            self.sources = self.sources.wrapping_sub(all_before).wrapping_add(all);
        }
    }
}

/// With and without the times of the object.
fn fingerprint(object: &Object) -> [u64; 2] {
    let mut hasher = DefaultHasher::new();
    object.meta.key.hash(&mut hasher);
    if object.meta.key.starts_with(keys::RUNS) {
        return [hasher.finish(); 2];
    }
    (&object.meta.etag, &object.metadata).hash(&mut hasher);
    let content = hasher.finish();
    object.meta.modified.hash(&mut hasher);
    [hasher.finish(), content]
}
