//! The interface of the table to its callers.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use datalake_core::{dataset::Dataset, reject::ExcludedSource, row::Row, row_id::RowId};
use datalake_store::bucket::Bucket;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::{
    delta::{
        commit::{self, CommitDetails},
        commit_attempt::CommitAttempt,
        data_file::{self, DataFile},
        data_file_reader,
        edit::Edit,
        history::{self, RowHistory},
        load::{self, Newest},
        log,
        recorded_sources::RecordedSources,
        rejects_file,
        stage::{self, Staged},
        vacuum::{self, VacuumSummary},
        version::{Version, VersionFacts},
    },
    error::{CommitError, TableError},
    memory::{loader::RowLoader, packed_rows::PackedRows},
    settings::{READS_IN_FLIGHT, TableSettings},
};

/// The table of a lake. Clones are cheap and share a bound on the memory for decoding.
#[derive(Clone, Debug)]
pub struct Table {
    bucket: Arc<dyn Bucket>,
    settings: TableSettings,
    loader: RowLoader,
}

impl Table {
    /// The table of the lake in `bucket`. Sends no request.
    pub fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self::with_settings(bucket, TableSettings::default())
    }

    /// The table of the lake in `bucket` with other sizes. Sends no request.
    pub fn with_settings(bucket: Arc<dyn Bucket>, settings: TableSettings) -> Self {
        let loader = RowLoader::new(Arc::clone(&bucket));
        Self { bucket, settings, loader }
    }

    /// The store that contains the table.
    pub fn bucket(&self) -> &Arc<dyn Bucket> {
        &self.bucket
    }

    /// The newest version. None if there is no table.
    pub async fn latest(&self) -> Result<Option<Version>, TableError> {
        load::latest(&self.bucket).await
    }

    /// The newest version if it is newer than `current`. Takes one request if there is no newer version.
    ///
    /// Also none if the entries after `current` or the whole table were removed, which [`Table::reload_if_lost`] detects. If the next entry
    /// belongs to a table that was created again, returns the newest version of that table.
    pub async fn newer_than(&self, current: &Version) -> Result<Option<Version>, TableError> {
        load::newer_than(&self.bucket, current).await
    }

    /// The newest version compared with `current`, for callers that act on the result: while a process is paused, cleanup can remove its
    /// version from the log.
    pub async fn newest(&self, current: &Version) -> Result<Newest, TableError> {
        load::newest(&self.bucket, current).await
    }

    /// The newest version if the log no longer contains the entry that made `current`: cleanup removed it, or the table was removed and
    /// created again, with versions from 0. None if the entry exists or if there is no table.
    pub async fn reload_if_lost(&self, current: &Version) -> Result<Option<Version>, TableError> {
        load::reload_if_lost(&self.bucket, current).await
    }

    /// The version `number`, if the log can still load it.
    pub async fn at(&self, number: u64) -> Result<Version, TableError> {
        load::at(&self.bucket, number).await
    }

    /// The numbers of the versions that the log can load. None if there is no table. Their data files may have been removed.
    pub async fn retained(&self) -> Result<Option<RangeInclusive<u64>>, TableError> {
        Ok(log::list(&self.bucket, 0).await?.loadable())
    }

    /// What the log entries of these versions record, in the order of `numbers`. Reads no data file.
    pub fn facts(&self, numbers: Vec<u64>) -> BoxStream<'static, Result<VersionFacts, TableError>> {
        load::facts(&self.bucket, numbers)
    }

    /// Whether the log still contains the entry that made `version`. False if the table was removed, or created again.
    pub async fn still_has(&self, version: &Version) -> Result<bool, TableError> {
        log::still_has(&self.bucket, version).await
    }

    /// The states of a row, from `newest` back, as far as the log and a bounded number of data file reads reach.
    pub async fn history(&self, newest: &Version, row_id: &RowId) -> Result<RowHistory, TableError> {
        history::history(&self.bucket, newest.number(), row_id).await
    }

    /// What the table records of every row's sources, in byte order of the IDs. A batch is a cluster of data files.
    pub fn recorded_sources(&self, version: &Version) -> BoxStream<'static, Result<Vec<RecordedSources>, TableError>> {
        let bucket = Arc::clone(&self.bucket);
        let schema = Arc::clone(&version.0.schema);
        stream::iter(clusters(version))
            .map(move |cluster| data_file_reader::recorded_sources(Arc::clone(&bucket), Arc::clone(&schema), cluster))
            .buffered(READS_IN_FLIGHT)
            .boxed()
    }

    /// The rows with these IDs, which are sorted. Reads only the data files whose range of IDs contains one of them.
    pub async fn rows_of(&self, version: &Version, row_ids: &[RowId]) -> Result<BTreeMap<RowId, Row>, TableError> {
        data_file_reader::rows_of(&self.bucket, version, row_ids).await
    }

    /// All rows of a version, with the columns that readers see, in byte order of the IDs. A batch is a cluster of data files.
    pub fn all_rows(&self, version: &Version) -> BoxStream<'static, Result<PackedRows, TableError>> {
        let (loader, schema) = (self.loader.clone(), Arc::clone(&version.0.schema));
        stream::iter(clusters(version))
            .then(move |cluster| {
                let (loader, schema) = (loader.clone(), Arc::clone(&schema));
                async move { loader.load_cluster(&schema, &cluster).await }
            })
            .boxed()
    }

    /// The rows of a cluster of data files of a version, merged.
    pub(crate) async fn rows_of_cluster(&self, version: &Version, cluster: &[Arc<DataFile>]) -> Result<PackedRows, TableError> {
        self.loader.load_cluster(&version.0.schema, cluster).await
    }

    /// The sources that are rejected or ignored at `version`, by key.
    pub async fn rejects(&self, version: &Version) -> Result<Vec<ExcludedSource>, TableError> {
        rejects_file::read(&self.bucket, version).await
    }

    /// Writes the data files that result from `edits` of `base`. No reader sees them before the commit.
    ///
    /// `edits` are sorted by ID, with one edit per row. If `dataset` is not the declaration of `base`, no row of `base` is kept: the
    /// edits put every row.
    pub async fn stage(&self, base: Option<&Version>, dataset: &Arc<Dataset>, edits: Vec<Edit>) -> Result<Staged, TableError> {
        stage::stage(&self.bucket, self.settings, base, dataset, edits).await
    }

    /// Creates the version after `base`. `rejects` are all sources that are now rejected or ignored, sorted by key.
    ///
    /// Also writes a checkpoint after every [`TableSettings::commits_per_checkpoint`] commits. If that fails, it logs a warning, and readers
    /// read more log entries.
    pub async fn commit(
        &self,
        base: Option<&Version>,
        staged: Staged,
        rejects: &[ExcludedSource],
        details: &CommitDetails,
    ) -> Result<Version, CommitError> {
        commit::commit(&self.bucket, self.settings, base, staged, rejects, details).await
    }

    /// Whether a commit with an unknown outcome created a version: false if its number has another entry, none if it cannot be determined.
    pub async fn is_committed(&self, attempt: &CommitAttempt) -> Result<Option<bool>, TableError> {
        commit::is_committed(&self.bucket, attempt).await
    }

    /// Reads a data file of a version completely. Returns the error that its readers get if it is missing or damaged.
    pub async fn check_data_file(&self, version: &Version, file: &DataFile) -> Result<(), TableError> {
        data_file_reader::check(&self.bucket, &version.0.schema, file).await
    }

    /// Removes log entries, data files and rejects files that are past the table's retention, by the store's clock.
    pub async fn vacuum(&self) -> Result<VacuumSummary, TableError> {
        vacuum::vacuum(&self.bucket).await
    }

    /// Removes the whole log, and with it every version. The next commit starts a new table, under another ID. For operators whose log cannot
    /// be loaded; no run may be active.
    pub async fn remove_log(&self) -> Result<u64, TableError> {
        vacuum::remove_log(&self.bucket).await
    }
}

fn clusters(version: &Version) -> Vec<Vec<Arc<DataFile>>> {
    data_file::clusters(version.data_files()).map(<[_]>::to_vec).collect()
}
