//! Checks of the log and the versions of the table.

use std::rc::Rc;

use datalake_core::keys::{self, LogKey};
use datalake_store::{
    bucket::Object,
    memory::{Expiry, MemoryBucket},
};

use super::{Oracle, Write};
use crate::{
    fingerprints::Fingerprints,
    invariant::{Invariant, Violation, violation},
    loaded_version::{Loaded, load},
};

impl Oracle {
    /// A new entry is that of the newest version, the entry of a new checkpoint exists, and the log has no gap.
    pub(super) fn check_log(&self, store: &MemoryBucket, write: &Write) -> Result<(), Violation> {
        let violated = |detail: String| Err(violation(Invariant::LinearHistory, detail));
        let newest = self.newest.as_ref().map(|newest| newest.number);
        match keys::parse_log(&write.key) {
            Some(LogKey::Entry(number)) if write.is_new() && newest != Some(number) => {
                return violated(format!(
                    "the entry of version {number} was created, but version {newest:?} is the newest"
                ));
            }
            Some(LogKey::Checkpoint(number)) if write.is_new() && store.peek(&keys::log_entry(number)).is_none() => {
                return violated(format!("a checkpoint of version {number} was written, but the entry is missing"));
            }
            _ => {}
        }
        let mut last: Option<u64> = None;
        for object in store.peek_all(keys::LOG) {
            let Some(LogKey::Entry(number)) = keys::parse_log(&object.meta.key) else {
                continue;
            };
            if let Some(last) = last.filter(|last| last + 1 != number) {
                return violated(format!("the log has entries {last} and {number}, but none between"));
            }
            last = Some(number);
        }
        Ok(())
    }

    /// The newest version loads, and follows the previous one.
    pub(super) fn check_table(&mut self, store: &MemoryBucket, fingerprints: &Fingerprints) -> Result<(), Violation> {
        let found = match load(store, fingerprints) {
            Ok(found) => found,
            Err(_) if self.is_damaged => return Ok(()),
            // Without expiry, a writer that was paused for longer than the retention between its checks and its create names removed files.
            // The guarantee is that the next run repairs the table.
            Err(_) if self.kind.expiry == Expiry::Never => {
                (self.is_damaged, self.was_damaged) = (true, true);
                self.newest = None;
                return Ok(());
            }
            Err(error) => return Err(violation(Invariant::Loadable, error)),
        };
        self.is_damaged = false;
        let Some(found) = found else {
            return match &self.newest {
                None => Ok(()),
                Some(newest) => Err(violation(
                    Invariant::LinearHistory,
                    format!("the table is missing; version {} was visible", newest.number),
                )),
            };
        };
        if self.newest.as_ref().is_some_and(|newest| Rc::ptr_eq(newest, &found)) {
            return Ok(());
        }
        check_rows(&found)?;
        if let Some(newest) = &self.newest {
            Self::check_successor(newest, &found)?;
            if newest.number == found.number {
                // The entry was removed but the checkpoint remains, or another file of the table changed.
                return Ok(());
            }
        }
        let versions_before = self.newest.replace(Rc::clone(&found));
        self.versions.push(Rc::clone(&found));
        self.check_links(store, versions_before.as_deref(), &found)
    }

    fn check_successor(newest: &Loaded, found: &Loaded) -> Result<(), Violation> {
        let violated = |detail: String| Err(violation(Invariant::LinearHistory, detail));
        if found.table_id != newest.table_id {
            return violated(format!("table {} was replaced by table {}", newest.table_id, found.table_id));
        }
        if found.number < newest.number {
            return violated(format!("version {} is the newest after version {}", found.number, newest.number));
        }
        if found.number == newest.number {
            return match (&newest.digest, &found.digest) {
                (Some(before), Some(after)) if before != after => violated(format!("version {} was replaced", found.number)),
                _ if newest.output != found.output || newest.rows != found.rows => {
                    violated(format!("the rows of version {} changed", found.number))
                }
                _ => Ok(()),
            };
        }
        if found.number > newest.number + 1 {
            return violated(format!("version {} follows version {}", found.number, newest.number));
        }
        match (&newest.digest, &found.base) {
            (Some(expected), Some(base)) if expected != base => violated(format!(
                "version {} records another base than the entry of version {}",
                found.number, newest.number
            )),
            _ => Ok(()),
        }
    }
}

/// Files of the table are not changed in place, and the checkpoint pointer does not go back.
pub(super) fn check_immutable(store: &MemoryBucket, write: &Write) -> Result<(), Violation> {
    let (Some(before), Some(after)) = (&write.before, &write.after) else {
        return Ok(());
    };
    let key = write.key.as_str();
    let violated = |detail: String| Err(violation(Invariant::Immutable, detail));
    if key == keys::LAST_CHECKPOINT {
        let named = |object: &Object| {
            let pointer: Option<serde_json::Value> = serde_json::from_slice(&object.bytes).ok();
            pointer.and_then(|pointer| pointer.get("version")?.as_u64())
        };
        return match (named(before), named(after)) {
            (Some(before), Some(after)) if after < before && store.peek(&keys::checkpoint(before)).is_some() => {
                violated(format!("the pointer names checkpoint {after} after checkpoint {before}"))
            }
            _ => Ok(()),
        };
    }
    let is_immutable = keys::parse_log(key).is_some() || keys::parse_data_file(key).is_some() || keys::is_rejects_file(key);
    match is_immutable && before.bytes != after.bytes {
        true => violated(format!("{key} was changed in place")),
        false => Ok(()),
    }
}

/// The rows are ordered by user ID, each user once.
fn check_rows(found: &Loaded) -> Result<(), Violation> {
    match found.rows.windows(2).find(|pair| matches!(pair, [a, b] if a.user_id >= b.user_id)) {
        Some(pair) => Err(violation(
            Invariant::OneRow,
            format!("version {}: the rows {pair:?} are not ascending, each user once", found.number),
        )),
        None => Ok(()),
    }
}
