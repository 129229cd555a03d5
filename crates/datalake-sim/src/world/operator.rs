//! What operators, lifecycle rules and other stores do to a lake.

use std::sync::Arc;

use bytes::Bytes;
use datalake_core::{keys, plan::DeletionGuard};
use datalake_store::bucket::{Bucket, Metadata, PutMode};
use datalake_table::table::Table;
use futures_util::FutureExt;

use crate::{
    observed::Fingerprints,
    oracle::Oracle,
    world::{SETTINGS, World},
};

impl World {
    /// The store has no conditional creates for the actors that begin from now on.
    pub(crate) fn ignore_create(&mut self) {
        self.ignores_create = true;
    }

    /// Notes that files of the table were lost.
    pub(crate) fn note_lost_files(&mut self) {
        self.lost_files = true;
    }

    /// Removes an object, as an operator or a lifecycle rule does.
    pub(crate) fn lose(&mut self, key: &str) {
        self.lost_files = true;
        drop(self.store.delete(key, None).now_or_never());
        self.fingerprints = Fingerprints::of(&self.store);
        self.oracle = Oracle::new(&self.store, &self.fingerprints, self.kind);
    }

    /// Stores the vacuum's note again at the store's present time.
    pub(crate) fn touch_vacuum_note(&mut self) {
        if let Some(note) = self.store.peek(keys::LAST_VACUUM) {
            let put = self.store.put(keys::LAST_VACUUM, note.bytes, PutMode::Replace, &note.metadata);
            drop(put.now_or_never());
        }
        self.fingerprints = Fingerprints::of(&self.store);
    }

    /// The guard against mass deletion of the runs that begin from now on.
    pub(crate) fn guard(&mut self, guard: DeletionGuard) {
        self.guard = guard;
    }

    /// Leaves a copy of an image that no row links, as a run that died.
    pub(crate) fn leave_copy(&mut self, user_id: &str) {
        let (key, left) = (keys::image(user_id), Bytes::from_static(b"left"));
        drop(self.store.put(&key, left, PutMode::Create, &Metadata::new()).now_or_never());
        self.fingerprints = Fingerprints::of(&self.store);
    }

    /// The operator removes the newest version.
    pub(crate) fn roll_back(&mut self) {
        if let Some(newest) = self.oracle.newest().map(|newest| newest.number) {
            for key in [keys::log_entry(newest), keys::checkpoint(newest)] {
                drop(self.store.delete(&key, None).now_or_never());
            }
            self.after_operator(format!("removes version {newest}"));
        }
    }

    /// The operator removes the whole log: the next run makes another table.
    pub(crate) fn remove_log(&mut self) {
        let table = Table::with_settings(Arc::new(self.store.clone()), SETTINGS);
        drop(table.remove_log().now_or_never());
        self.after_operator("removes the log".to_owned());
    }

    fn after_operator(&mut self, what: String) {
        self.lost_files = true;
        self.fingerprints = Fingerprints::of(&self.store);
        self.oracle.rolled_back(&self.store, &self.fingerprints);
        self.note_log_change();
        self.record("operator", what, "");
    }
}
