//! Changes of a lake by operators, lifecycle rules and other stores.

use std::sync::Arc;

use bytes::Bytes;
use datalake_core::{keys, plan::DeletionGuard};
use datalake_store::bucket::{Bucket, Metadata, PutMode};
use datalake_table::table::Table;
use futures_util::FutureExt;

use crate::{
    fingerprints::Fingerprints,
    oracle::Oracle,
    oracle::copy_of,
    world::{SETTINGS, World},
};

impl World {
    /// Removes conditional creates from the store of actors that are added later.
    pub(crate) fn ignore_create(&mut self) {
        self.ignores_create = true;
    }

    /// Records that files of the table were removed.
    pub(crate) fn set_lost_files(&mut self) {
        self.lost_files = true;
    }

    /// Removes an object, as an operator or a lifecycle rule may do.
    pub(crate) fn remove_object(&mut self, key: &str) {
        self.lost_files = true;
        drop(self.store.delete(key, None).now_or_never());
        self.fingerprints = Fingerprints::of(&self.store);
        self.oracle = Oracle::new(&self.store, &self.fingerprints, self.kind);
    }

    /// Writes the time of the last vacuum again, so that it has the store's current time.
    pub(crate) fn rewrite_last_vacuum(&mut self) {
        if let Some(last) = self.store.peek(keys::LAST_VACUUM) {
            let put = self.store.put(keys::LAST_VACUUM, last.bytes, PutMode::Replace, &last.metadata);
            drop(put.now_or_never());
        }
        self.fingerprints = Fingerprints::of(&self.store);
    }

    /// Sets the guard against mass deletion for runs that are added later.
    pub(crate) fn set_deletion_guard(&mut self, guard: DeletionGuard) {
        self.guard = guard;
    }

    /// Adds an image copy that no row links, as a killed run may leave it.
    pub(crate) fn add_unlinked_copy(&mut self, user_id: &str) {
        let (key, bytes) = (copy_of(user_id), Bytes::from_static(b"left"));
        drop(self.store.put(&key, bytes, PutMode::Create, &Metadata::new()).now_or_never());
        self.fingerprints = Fingerprints::of(&self.store);
    }

    /// Removes the newest version, as an operator.
    pub(crate) fn roll_back(&mut self) {
        if let Some(newest) = self.oracle.newest().map(|newest| newest.number) {
            for key in [keys::log_entry(newest), keys::checkpoint(newest)] {
                drop(self.store.delete(&key, None).now_or_never());
            }
            self.after_operator(format!("removes version {newest}"));
        }
    }

    /// Removes the whole log, as an operator: the next run creates another table.
    pub(crate) fn remove_log(&mut self) {
        let table = Table::with_settings(Arc::new(self.store.clone()), SETTINGS);
        drop(table.remove_log().now_or_never());
        self.after_operator("removes the log".to_owned());
    }

    fn after_operator(&mut self, step: String) {
        self.lost_files = true;
        self.fingerprints = Fingerprints::of(&self.store);
        self.oracle.observe_rollback(&self.store, &self.fingerprints);
        self.mark_log_changed();
        self.record("operator", step, "");
    }
}
