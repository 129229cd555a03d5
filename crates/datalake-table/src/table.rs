//! The table as its callers see it.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use datalake_core::{
    reject::ExcludedSource,
    report::{Counts, RunId, RunMode},
    row::Row,
    user::UserId,
};
use datalake_store::bucket::Bucket;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;

use crate::{
    delta::{
        commit::{self, CommitAttempt},
        data_file,
        history::{self, RowHistory},
        log::{self, Newest},
        rejects_file,
        stage::{self, Staged},
        vacuum::{self, VacuumSummary},
        version::{SegmentFile, Version, VersionFacts},
    },
    error::{CommitError, TableError},
    memory::columns::SegmentRows,
};

/// The users table in a lake. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) bucket: Arc<dyn Bucket>,
    pub(crate) settings: TableSettings,
}

/// The sizes of the table. The defaults are right but for tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSettings {
    /// Most rows of a segment.
    pub segment_rows_max: usize,
    /// A checkpoint is written whenever a version's number is a multiple of this.
    pub commits_per_checkpoint: u64,
}

impl Default for TableSettings {
    /// 128,000 rows are 5 to 10 MB: rewritten for one changed row in well under a second, and few enough files for 10 million rows.
    /// 20 commits are most of a day of hourly runs, and a load then reads at most 20 small entries.
    fn default() -> Self {
        Self {
            segment_rows_max: 128_000,
            commits_per_checkpoint: 20,
        }
    }
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The row is added, or replaces the user's present one.
    Put(Row),
    /// The user's row is removed, if there is one.
    Remove(UserId),
}

impl Edit {
    /// Whose row it changes.
    pub fn user_id(&self) -> &UserId {
        match self {
            Self::Put(row) => &row.user_id,
            Self::Remove(user_id) => user_id,
        }
    }
}

/// What the table recorded of a user's sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRow {
    /// Whose sources.
    pub user_id: UserId,
    /// The tag of the CSV that the row was read from.
    pub csv_etag: Box<str>,
    /// Its bytes.
    pub csv_size: u64,
    /// Tag and bytes of the linked picture.
    pub image: Option<(Box<str>, u64)>,
}

/// What a commit records of the run that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitDetails {
    /// The run.
    pub run_id: RunId,
    /// Which sources it read.
    pub mode: RunMode,
    /// What it found and did.
    pub counts: Counts,
    /// The run's clock at the commit.
    pub committed_at: Timestamp,
}

/// Segments read at once: two are decoded while two are fetched, and 4 times 10 MB are held.
pub(crate) const READS_IN_FLIGHT: usize = 4;

impl Table {
    /// The table of the lake in `bucket`. Nothing is read or written yet.
    pub fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self::with_settings(bucket, TableSettings::default())
    }

    /// The table with other sizes.
    pub fn with_settings(bucket: Arc<dyn Bucket>, settings: TableSettings) -> Self {
        Self { bucket, settings }
    }

    /// Where the table lies.
    pub fn bucket(&self) -> &Arc<dyn Bucket> {
        &self.bucket
    }

    /// The newest version; none where there is no table yet.
    pub async fn latest(&self) -> Result<Option<Version>, TableError> {
        log::latest(&self.bucket).await
    }

    /// The newest version if it is newer than `held`: one request where there is nothing new.
    ///
    /// None also where the entries after `held` were removed meanwhile, or the whole table; [`Table::reload_if_lost`] tells. Where the
    /// next entry is that of a table made anew, the newest version of that one.
    pub async fn newer_than(&self, held: &Version) -> Result<Option<Version>, TableError> {
        log::newer_than(&self.bucket, held).await
    }

    /// What is newest, for a caller that acts on it: a process that was paused may hold a version that was removed from the log.
    pub async fn newest(&self, held: &Version) -> Result<Newest, TableError> {
        log::newest(&self.bucket, held).await
    }

    /// The newest version if the log no longer holds the entry that made `held`: entries are removed while a reader sleeps, and a table
    /// that was removed and made anew counts from 0 again. None where there is no table any more: what is held is better than nothing.
    pub async fn reload_if_lost(&self, held: &Version) -> Result<Option<Version>, TableError> {
        log::reload_if_lost(&self.bucket, held).await
    }

    /// The version `number`, if the log still reaches back to it.
    pub async fn at(&self, number: u64) -> Result<Version, TableError> {
        log::at(&self.bucket, number).await
    }

    /// The numbers of the versions that the log still reaches back to; none where there is no table. Their data files may be gone even so.
    pub async fn retained(&self) -> Result<Option<RangeInclusive<u64>>, TableError> {
        Ok(log::list(&self.bucket, 0).await?.loadable())
    }

    /// What the entries of the versions of these numbers say of them, in the order of `numbers`. No data file is read.
    pub fn facts(&self, numbers: Vec<u64>) -> BoxStream<'static, Result<VersionFacts, TableError>> {
        log::facts(&self.bucket, numbers)
    }

    /// Whether the log still holds the very entry that made `held`; not where the table was removed, or made anew in its place.
    pub async fn still_has(&self, held: &Version) -> Result<bool, TableError> {
        log::still_has(&self.bucket, held).await
    }

    /// What the user's row was, from `newest` back, as far as the log and a bounded number of reads of segments reach.
    pub async fn history(&self, newest: &Version, user_id: &UserId) -> Result<RowHistory, TableError> {
        history::history(&self.bucket, newest.number(), user_id).await
    }

    /// What the table recorded of every user's sources: a batch a segment, in byte order of the ids over all batches.
    #[expect(
        clippy::unused_async,
        reason = "callers await it like the other reads, also should it come to read something first"
    )]
    pub async fn known(&self, version: &Version) -> BoxStream<'static, Result<Vec<KnownRow>, TableError>> {
        let bucket = Arc::clone(&self.bucket);
        let clusters: Vec<_> = data_file::clusters(version.segments()).map(<[_]>::to_vec).collect();
        stream::iter(clusters)
            .map(move |cluster| data_file::known(Arc::clone(&bucket), cluster))
            .buffered(READS_IN_FLIGHT)
            .boxed()
    }

    /// The rows of those of `user_ids` that have one. Only segments whose range holds one of them are read. `user_ids` are sorted.
    pub async fn rows_of(&self, version: &Version, user_ids: &[UserId]) -> Result<BTreeMap<UserId, Row>, TableError> {
        data_file::rows_of(&self.bucket, version, user_ids).await
    }

    /// What a reader shows of a segment.
    pub async fn columns(&self, file: &SegmentFile) -> Result<SegmentRows, TableError> {
        data_file::columns(&self.bucket, file).await
    }

    /// What a reader shows of every row, in byte order of the ids over all batches. A batch is a segment, or those that overlap as one.
    pub fn shown(&self, version: &Version) -> BoxStream<'static, Result<SegmentRows, TableError>> {
        let bucket = Arc::clone(&self.bucket);
        let clusters: Vec<_> = data_file::clusters(version.segments()).map(<[_]>::to_vec).collect();
        stream::iter(clusters)
            .then(move |cluster| data_file::shown(Arc::clone(&bucket), cluster))
            .boxed()
    }

    /// The sources that are refused at `version`, by key.
    pub async fn refusals(&self, version: &Version) -> Result<Vec<ExcludedSource>, TableError> {
        rejects_file::read(&self.bucket, version).await
    }

    /// Writes the segments that `edits` make of those of `base`. No reader sees them before the commit.
    ///
    /// `edits` are sorted by user id and hold a user once.
    pub async fn stage(&self, base: Option<&Version>, edits: Vec<Edit>) -> Result<Staged, TableError> {
        stage::stage(&self.bucket, self.settings, base, edits).await
    }

    /// Makes the version after `base`. `refusals` are all that are open now, sorted by key.
    ///
    /// Every so often it also writes a checkpoint; a failure of that is logged, and readers read more entries.
    pub async fn commit(
        &self,
        base: Option<&Version>,
        staged: Staged,
        refusals: &[ExcludedSource],
        details: &CommitDetails,
    ) -> Result<Version, CommitError> {
        commit::commit(self, base, staged, refusals, details).await
    }

    /// Whether a commit whose outcome was unknown made a version: false where another entry took its place, none where that cannot be found
    /// out (any more).
    pub async fn is_committed(&self, attempt: &CommitAttempt) -> Result<Option<bool>, TableError> {
        commit::is_committed(&self.bucket, attempt).await
    }

    /// Fails as a reader of the data file would, if it is missing or damaged.
    pub async fn check_data_file(&self, file: &SegmentFile) -> Result<(), TableError> {
        data_file::check(&self.bucket, file).await
    }

    /// Removes log entries, data files and files of refused sources that are past the table's retention, by the store's clock.
    pub async fn vacuum(&self) -> Result<VacuumSummary, TableError> {
        vacuum::vacuum(&self.bucket).await
    }

    /// Removes the whole log. The next commit begins a new table, under another ID. For operators whose log cannot be loaded: every version is
    /// lost, and no run may be active.
    pub async fn remove_log(&self) -> Result<u64, TableError> {
        vacuum::remove_log(&self.bucket).await
    }
}
