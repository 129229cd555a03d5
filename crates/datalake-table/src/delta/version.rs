//! Versions of the table: their data files, and what their commits record.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{
    dataset::Dataset,
    keys,
    run::{Counts, RunId},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    delta::{
        actions::{Metadata, Protocol, Remove, Transaction},
        data_file::DataFile,
        schema::TableSchema,
    },
    digest::Digest,
};

/// One version of the table. Immutable and cheap to clone.
#[derive(Clone, Debug)]
pub struct Version(pub(crate) Arc<State>);

/// The state of the table at one version.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) number: u64,
    /// The digest of the entry that made the version, or of its checkpoint if only that is left.
    pub(crate) digest: Digest,
    pub(crate) commit: CommitFacts,
    pub(crate) protocol: Protocol,
    pub(crate) metadata: Metadata,
    /// The columns that the metadata declares.
    pub(crate) schema: Arc<TableSchema>,
    /// Sorted by [`DataFile::compare`].
    pub(crate) data_files: Vec<Arc<DataFile>>,
    /// By path. Tombstones past the retention may be missing.
    pub(crate) tombstones: BTreeMap<String, Remove>,
    /// The progress of streams of other engines, which checkpoints must keep.
    pub(crate) transactions: BTreeMap<String, Transaction>,
    /// Objects that the log names and the store does not contain.
    pub(crate) lost: Lost,
    /// The digest of the version from which this version was made by applying entries. None if it was loaded from the log.
    pub(crate) continues: Option<Digest>,
}

/// The objects of a version that are missing or damaged, and that the next commit replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Data files. They are not among [`Version::data files`].
    pub data_files: Vec<Arc<DataFile>>,
    /// Whether the rejects file is lost.
    pub rejects_file: bool,
}

impl Lost {
    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.data_files.is_empty() && !self.rejects_file
    }

    /// The number of rows in the lost data files.
    pub fn row_count(&self) -> u64 {
        self.data_files.iter().map(|file| file.rows).sum()
    }
}

/// The identity of a version. The number alone is not enough: if an operator removes versions, later commits reuse their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId {
    /// The ID of the table.
    pub table_id: Box<str>,
    /// The version number, from 0. Each commit adds 1.
    pub number: u64,
    /// The SHA-256 of the entry that made the version, or of its checkpoint if only that is left.
    pub digest: Digest,
}

/// What the entry that made a version records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitFacts {
    pub(crate) committed_at: Timestamp,
    pub(crate) author: Author,
    pub(crate) operation: Option<Box<str>>,
    pub(crate) run_id: Option<RunId>,
    pub(crate) counts: Option<Counts>,
    /// The digest of the entry before, if the entry records it.
    pub(crate) base: Option<Digest>,
}

/// The kind of writer that made a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A run of this product.
    Run,
    /// Another engine.
    OtherEngine,
    /// Unknown, because only a checkpoint of the version is left.
    Unknown,
}

/// What the log entry of a version records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionFacts {
    /// The version number, from 0. Each commit adds 1.
    pub number: u64,
    /// The commit time, by the clock of the writer.
    pub committed_at: Timestamp,
    /// The kind of writer that made it.
    pub author: Author,
    /// The run that made it. None if another engine did.
    pub run_id: Option<RunId>,
    /// The counts of the run.
    pub counts: Option<Counts>,
    /// The operation, in the terms of Delta. None if the entry does not contain it.
    pub operation: Option<Box<str>>,
}

impl VersionFacts {
    pub(crate) fn new(number: u64, commit: &CommitFacts) -> Self {
        Self {
            number,
            committed_at: commit.committed_at,
            author: commit.author,
            run_id: commit.run_id.clone(),
            counts: commit.counts.clone(),
            operation: commit.operation.clone(),
        }
    }
}

/// The newest version that was committed at `time` or before. None if all were committed later. `commits` are numbers and times, ascending
/// by number and without a gap.
///
/// The clocks of writers differ, so a version's time may be earlier than that of the version before. As in Delta, such a version
/// counts as committed one millisecond after the version before, so later versions are never older.
pub fn committed_by(commits: impl IntoIterator<Item = (u64, Timestamp)>, time: Timestamp) -> Option<u64> {
    let (mut found, mut last) = (None, None::<Timestamp>);
    for (number, committed_at) in commits {
        let next = last.and_then(|last| last.checked_add(SignedDuration::from_millis(1)).ok());
        let adjusted = next.map_or(committed_at, |next| next.max(committed_at));
        if adjusted > time {
            break;
        }
        (found, last) = (Some(number), Some(adjusted));
    }
    found
}

impl Version {
    /// What the log entry of the version records.
    pub fn facts(&self) -> VersionFacts {
        VersionFacts::new(self.0.number, &self.0.commit)
    }

    /// The declaration by which the version was made, and by which it is read.
    pub fn dataset(&self) -> &Arc<Dataset> {
        self.0.schema.dataset()
    }

    /// The version number, from 0. Each commit adds 1.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// The identity of the version, also compared with versions of a table that replaced this one.
    pub fn id(&self) -> VersionId {
        VersionId {
            table_id: self.table_id().into(),
            number: self.number(),
            digest: self.digest(),
        }
    }

    /// The SHA-256 of the entry that made the version, or of its checkpoint if only that is left.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Whether the version was made from `earlier` by applying the entries after it, so both are in one history.
    pub fn continues(&self, earlier: &Self) -> bool {
        self.0.continues == Some(earlier.digest())
    }

    /// The version without its lost objects. The next commit removes the lost data files from the table.
    #[must_use]
    pub fn without(&self, lost: Lost) -> Self {
        let is_lost = |file: &Arc<DataFile>| lost.data_files.contains(file);
        let mut state = (*self.0).clone();
        state.data_files.retain(|file| !is_lost(file));
        state.lost = lost;
        Self(Arc::new(state))
    }

    /// The lost objects of the version: see [`Version::without`].
    pub fn lost(&self) -> &Lost {
        &self.0.lost
    }

    /// The key of the rejects file, if there is one.
    pub fn rejects_file_key(&self) -> Option<String> {
        self.0.metadata.rejects_path().map(keys::table_file)
    }

    /// The number of ignored objects, if the rejects file does not contain all of them.
    pub fn ignored(&self) -> Option<u64> {
        self.0.metadata.ignored()
    }

    /// The ID of the table. A table that was removed and created again has another ID, and versions from 0.
    pub fn table_id(&self) -> &str {
        &self.0.metadata.id
    }

    /// The commit time, by the clock of the writer.
    pub fn committed_at(&self) -> Timestamp {
        self.0.commit.committed_at
    }

    /// The run that made the version. None if another engine did.
    pub fn run_id(&self) -> Option<&RunId> {
        self.0.commit.run_id.as_ref()
    }

    /// The counts of the run that made the version. None if another engine did.
    pub fn counts(&self) -> Option<&Counts> {
        self.0.commit.counts.as_ref()
    }

    /// The data files, by their smallest ID. Only files of other engines overlap.
    pub fn data_files(&self) -> &[Arc<DataFile>] {
        &self.0.data_files
    }

    /// The number of rows.
    pub fn row_count(&self) -> u64 {
        self.0.data_files.iter().map(|file| file.rows).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_committed_by(commits: &[i64], second: i64, expected: Option<u64>) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let found = committed_by((5..).zip(commits.iter().copied().map(at)), at(second));
        assert_eq!(found, expected, "commits: {commits:?}, second: {second}");
    }

    #[test]
    fn commit_times_are_monotonic() {
        check_committed_by(&[], 10, None);
        check_committed_by(&[10, 20, 30], 9, None);
        check_committed_by(&[10, 20, 30], 10, Some(5));
        check_committed_by(&[10, 20, 30], 29, Some(6));
        check_committed_by(&[10, 20, 30], 99, Some(7));
        // The clocks of the second and the third writer are behind.
        check_committed_by(&[20, 10, 15, 30], 15, None);
        check_committed_by(&[20, 10, 15, 30], 20, Some(5));
        check_committed_by(&[20, 10, 15, 30], 21, Some(7));
        check_committed_by(&[20, 20, 20], 20, Some(5));
    }
}
