//! One immutable version of the table: which segments make it up, and what its commit said.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use datalake_core::{
    keys,
    report::{Counts, RunId},
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    delta::actions::{Add, Metadata, Protocol, Remove, Transaction},
    digest::Digest,
};

/// A data file of the table. Files are never changed, so two of one path are equal.
#[derive(Clone, Debug)]
pub struct SegmentFile {
    /// As the log spells it: relative to the table's root, percent-encoded.
    pub path: Box<str>,
    /// Bytes of the file.
    pub size: u64,
    /// Rows in the file.
    pub rows: u64,
    /// No row's id is less. A foreign writer may give a bound that no row has.
    pub min_user_id: Box<str>,
    /// No row's id is greater. A foreign writer may give a bound that no row has.
    pub max_user_id: Box<str>,
    /// The action that added it, for checkpoints.
    pub(crate) add: Arc<Add>,
}

impl SegmentFile {
    /// The object's key in the lake.
    pub fn key(&self) -> String {
        keys::table_file(&percent_decoded(&self.path))
    }

    /// Whether a row of this id could be in the file.
    pub fn may_hold(&self, user_id: &str) -> bool {
        *self.min_user_id <= *user_id && *user_id <= *self.max_user_id
    }

    /// The order of segments in a version.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        (&self.min_user_id, &self.max_user_id, &self.path).cmp(&(&other.min_user_id, &other.max_user_id, &other.path))
    }
}

impl PartialEq for SegmentFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for SegmentFile {}

/// The protocol writes paths as URIs: a foreign writer's folder or file name may carry `%20`.
pub(crate) fn percent_decoded(path: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
    decoded.map_or_else(|_| path.to_owned(), Into::into)
}

/// One version of the table. Immutable and cheap to clone.
#[derive(Clone, Debug)]
pub struct Version(pub(crate) Arc<State>);

/// What the log says at one version.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) number: u64,
    /// Of the bytes of the entry that made the version; of its checkpoint, if only that is left.
    pub(crate) digest: Digest,
    pub(crate) commit: CommitFacts,
    pub(crate) protocol: Protocol,
    pub(crate) metadata: Metadata,
    /// In the order of [`SegmentFile::compare`].
    pub(crate) segments: Vec<Arc<SegmentFile>>,
    /// By path. Those past their retention may be missing.
    pub(crate) tombstones: BTreeMap<String, Remove>,
    /// Other engines' streams remember in the log how far they are; a checkpoint must not lose that.
    pub(crate) transactions: BTreeMap<String, Transaction>,
    /// What the log names and the store has no more.
    pub(crate) lost: Lost,
    /// The digest of the version that this one was made from, entry by entry; none where it was loaded as a whole.
    pub(crate) continues: Option<Digest>,
}

/// Derived objects of a version that are missing or damaged, and that the next commit replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Data files. They are not among [`Version::segments`].
    pub data_files: Vec<Arc<SegmentFile>>,
    /// Whether the file of refused sources is lost.
    pub refusals: bool,
}

impl Lost {
    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.data_files.is_empty() && !self.refusals
    }

    /// Rows of the lost data files.
    pub fn row_count(&self) -> u64 {
        self.data_files.iter().map(|file| file.rows).sum()
    }
}

/// What identifies a version. The number alone does not: an operator may remove versions, and other ones then take their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId {
    /// The table's own ID.
    pub table_id: Box<str>,
    /// From 0; each commit adds 1.
    pub number: u64,
    /// SHA-256 of the bytes of the entry that made the version; of its checkpoint, if only that is left.
    pub digest: Digest,
}

/// What the entry that made a version says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitFacts {
    pub(crate) committed_at: Timestamp,
    pub(crate) author: Author,
    pub(crate) operation: Option<Box<str>>,
    pub(crate) run_id: Option<RunId>,
    pub(crate) counts: Option<Counts>,
    /// The digest of the entry before, where the entry records it.
    pub(crate) base: Option<Digest>,
}

/// Who made a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A run of this product.
    Run,
    /// Another engine.
    OtherEngine,
    /// The entry is gone, and only a checkpoint is left of the version.
    Unknown,
}

/// What a version's entry in the log says of it: known without reading a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionFacts {
    /// From 0; each commit adds 1.
    pub number: u64,
    /// When the version was made, by the clock of its writer.
    pub committed_at: Timestamp,
    /// Who made it.
    pub author: Author,
    /// The run that made it; none unless a run did.
    pub run_id: Option<RunId>,
    /// That run's counts.
    pub counts: Option<Counts>,
    /// What was done, in Delta's words; none where the entry does not say.
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

/// The newest of the versions that were committed at `time` or before; none where all came later. `commits` are numbers and times,
/// ascending by number and without a gap.
///
/// Clocks of writers differ, so that a version's time may lie before that of the one before it. As Delta does, such a version counts as
/// made a millisecond after the one before: later versions never seem older.
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
    /// What its entry says of it.
    pub fn facts(&self) -> VersionFacts {
        VersionFacts::new(self.0.number, &self.0.commit)
    }

    /// From 0; each commit adds 1.
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// What tells this version from every other one, of this table or of one that took its place.
    pub fn id(&self) -> VersionId {
        VersionId {
            table_id: self.table_id().into(),
            number: self.number(),
            digest: self.digest(),
        }
    }

    /// SHA-256 of the bytes of the entry that made the version; of its checkpoint, if only that is left.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Whether the version was reached from `earlier` by applying the entries after it: then both are of one history.
    pub fn continues(&self, earlier: &Self) -> bool {
        self.0.continues == Some(earlier.digest())
    }

    /// The version without what is lost of it. The next commit removes lost data files from the table.
    #[must_use]
    pub fn without(&self, lost: Lost) -> Self {
        let is_lost = |file: &Arc<SegmentFile>| lost.data_files.contains(file);
        let mut state = (*self.0).clone();
        state.segments.retain(|file| !is_lost(file));
        state.lost = lost;
        Self(Arc::new(state))
    }

    /// What the version was found to have lost: see [`Version::without`].
    pub fn lost(&self) -> &Lost {
        &self.0.lost
    }

    /// The key of the file of refused sources, where there are any.
    pub fn refusals_key(&self) -> Option<String> {
        self.0.metadata.refusals().map(keys::table_file)
    }

    /// The number of ignored objects, where the file of refused sources does not have all of them.
    pub fn ignored(&self) -> Option<u64> {
        self.0.metadata.ignored()
    }

    /// The table's own id. A table that was removed and made anew counts its versions from 0 again, under another id.
    pub fn table_id(&self) -> &str {
        &self.0.metadata.id
    }

    /// When the version was made, by the clock of its writer.
    pub fn committed_at(&self) -> Timestamp {
        self.0.commit.committed_at
    }

    /// The run that made the version; none where another engine made it.
    pub fn run_id(&self) -> Option<&RunId> {
        self.0.commit.run_id.as_ref()
    }

    /// The counts of the run that made the version; none where another engine made it.
    pub fn counts(&self) -> Option<&Counts> {
        self.0.commit.counts.as_ref()
    }

    /// The data files, by their least user id. Ranges overlap only where another engine wrote them.
    pub fn segments(&self) -> &[Arc<SegmentFile>] {
        &self.0.segments
    }

    /// Rows of the table.
    pub fn row_count(&self) -> u64 {
        self.0.segments.iter().map(|segment| segment.rows).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(percent_decoded(path), expected, "path: {path}");
    }

    #[track_caller]
    fn check_committed_by(commits: &[i64], second: i64, expected: Option<u64>) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let found = committed_by((5..).zip(commits.iter().copied().map(at)), at(second));
        assert_eq!(found, expected, "commits: {commits:?}, second: {second}");
    }

    #[test]
    fn times_never_go_back() {
        check_committed_by(&[], 10, None);
        check_committed_by(&[10, 20, 30], 9, None);
        check_committed_by(&[10, 20, 30], 10, Some(5));
        check_committed_by(&[10, 20, 30], 29, Some(6));
        check_committed_by(&[10, 20, 30], 99, Some(7));
        // The second and the third writer's clocks were behind.
        check_committed_by(&[20, 10, 15, 30], 15, None);
        check_committed_by(&[20, 10, 15, 30], 20, Some(5));
        check_committed_by(&[20, 10, 15, 30], 21, Some(7));
        check_committed_by(&[20, 20, 20], 20, Some(5));
    }

    #[test]
    fn paths_are_decoded() {
        check("part-1.parquet", "part-1.parquet");
        check("a%20b/c%3D1.parquet", "a b/c=1.parquet");
        check("100%", "100%");
        check("%zz%4", "%zz%4");
        check("%+5%-1", "%+5%-1");
        check("%C3%A9", "é");
        check("%FF", "%FF");
    }
}
