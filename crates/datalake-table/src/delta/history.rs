//! The history of one row, from the log and as few data files as possible.
//!
//! One pass over the log finds the files that may contain the row in each version. Then the files are read from the newest version back. A
//! row names the run that changed it last, so the versions since that run need no read, unless another engine made one of them.

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc};

use datalake_core::{dataset::Dataset, keys, row::Row, row_id::RowId, run::RunId};
use datalake_store::{bucket::Bucket, error::StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    delta::decode::decode,
    delta::{
        actions::Action,
        checkpoint,
        data_file::percent_decoded,
        id_bounds::RowsAndBounds,
        load,
        log::{self, Listing},
        parquet_rows, replay,
        schema::TableSchema,
        version::{Author, VersionFacts},
    },
    error::TableError,
};

/// Six weeks of hourly runs; the log keeps one week. The entries are read one after the other.
const VERSIONS_MAX: u64 = 1_000;

/// Reading and decoding a data file takes over a tenth of a second, so a history takes a few seconds at most.
const FILE_READS_MAX: usize = 32;

/// Entries are small, so concurrent reads hide latency without using much memory.
const ENTRIES_IN_FLIGHT: usize = 8;

/// A state of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowState {
    /// The version that made the state. For the last state of an incomplete history, the oldest version that was examined.
    pub version: VersionFacts,
    /// The row. None if there was none.
    pub row: Option<Row>,
    /// The declaration by which the row was read.
    pub dataset: Arc<Dataset>,
}

/// Why a history does not go back further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The history goes back to the first version of the table.
    Whole,
    /// Earlier entries were removed from the log.
    LogEnds,
    /// The data files of earlier versions were removed.
    FilesGone,
    /// The history has reached a limit on versions or reads.
    Bound,
}

/// The states of a row, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowHistory {
    /// Consecutive states differ. Empty if the row is in no version that was examined.
    pub states: Vec<RowState>,
    /// The oldest version that was examined.
    pub oldest: u64,
    /// Why no earlier version was examined.
    pub reach: Reach,
}

/// The versions of the log in ascending order, without a gap. The list is not empty.
#[derive(Debug)]
struct RowVersions {
    versions: Vec<RowVersion>,
    /// Why there is no earlier version.
    reach: Reach,
}

/// A version with the files that may contain one row.
#[derive(Debug)]
struct RowVersion {
    facts: VersionFacts,
    candidates: Candidates,
}

/// The files of a version that may contain one row.
#[derive(Clone, Debug)]
struct Candidates {
    schema: Arc<TableSchema>,
    /// Their paths.
    files: Arc<BTreeSet<String>>,
}

pub(crate) async fn history(bucket: &Arc<dyn Bucket>, newest: u64, row_id: &RowId) -> Result<RowHistory, TableError> {
    let row_versions = row_versions(bucket, newest, row_id).await?;
    read_states(bucket, &row_versions, row_id).await
}

/// Reads the states, from the newest version back.
async fn read_states(bucket: &Arc<dyn Bucket>, row_versions: &RowVersions, row_id: &RowId) -> Result<RowHistory, TableError> {
    let versions = &row_versions.versions;
    let mut states: Vec<RowState> = Vec::new();
    let (mut reads, mut end) = (0, versions.len());
    let reach = loop {
        let Some(step) = end.checked_sub(1).and_then(|at| versions.get(at)) else {
            break row_versions.reach;
        };
        reads += step.candidates.files.len();
        if reads > FILE_READS_MAX && end < versions.len() {
            break Reach::Bound;
        }
        let row = match row_in(bucket, &step.candidates, row_id).await {
            Err(TableError::Store(StoreError::NotFound { .. })) if end < versions.len() => break Reach::FilesGone,
            row => row?,
        };
        end = first_with_same_row(&versions[..end], row.as_ref().map(|row| &row.run_id));
        let state = RowState {
            version: versions[end].facts.clone(),
            row,
            dataset: Arc::clone(step.candidates.schema.dataset()),
        };
        match states.last_mut() {
            Some(last) if is_same_state(last, &state) => *last = state,
            _ => states.push(state),
        }
    };
    // The time before the first row is not a state.
    states.pop_if(|oldest| oldest.row.is_none());
    let oldest = versions.get(end).or(versions.last()).map_or(0, |step| step.facts.number);
    Ok(RowHistory { states, oldest, reach })
}

/// The index of the first version that is known without a read to have the same row as the last: those with the same files, and those since
/// the run that changed the row last, back to a version of another engine, which may have changed the row without recording it.
fn first_with_same_row(versions: &[RowVersion], changed_by: Option<&RunId>) -> usize {
    let last = versions.last().map(|step| &step.candidates.files);
    let first = versions
        .iter()
        .rposition(|step| Some(&step.candidates.files) != last)
        .map_or(0, |other| other + 1);
    let Some(changed_by) = changed_by else { return first };
    for (index, step) in versions.iter().enumerate().take(first + 1).rev() {
        if step.facts.run_id.as_ref() == Some(changed_by) {
            return index;
        }
        if step.facts.author != Author::Run {
            return first;
        }
    }
    0
}

fn is_same_state(a: &RowState, b: &RowState) -> bool {
    match (&a.row, &b.row) {
        (None, None) => true,
        (Some(first), Some(second)) => {
            a.dataset.has_same_columns(&b.dataset) && first.is_visibly_equal(second) && first.run_id == second.run_id
        }
        _ => false,
    }
}

async fn row_in(bucket: &Arc<dyn Bucket>, candidates: &Candidates, row_id: &RowId) -> Result<Option<Row>, TableError> {
    for path in &*candidates.files {
        let object = bucket.get(&keys::table_file(path), None, None).await?;
        let (wanted, schema) = (row_id.clone(), Arc::clone(&candidates.schema));
        let found = decode(object, move |key, bytes| {
            let rows = parquet_rows::rows(&schema, key, bytes)?;
            Ok(rows.into_iter().find(|row| row.row_id == wanted))
        });
        if let Some(row) = found.await? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

async fn row_versions(bucket: &Arc<dyn Bucket>, newest: u64, row_id: &RowId) -> Result<RowVersions, TableError> {
    let listing = log::list(bucket, 0).await?;
    let loadable = listing
        .loadable()
        .filter(|loadable| loadable.contains(&newest))
        .ok_or(TableError::NoSuchVersion { version: newest })?;
    let (first, reach) = first_version(&listing, &loadable, newest);
    let mut candidates = Candidates {
        schema: Arc::new(TableSchema::of(Dataset::shared_users())),
        files: Arc::default(),
    };
    let mut versions = Vec::new();
    if first > 0 || !listing.entries.contains(&0) {
        let object = log::get(bucket, &keys::checkpoint(first), log::CHECKPOINT_BYTES_MAX).await?;
        let key = object.meta.key.clone();
        let actions = decode(object, checkpoint::decode_actions).await?;
        candidates.apply(&key, &actions, row_id)?;
        versions.push(RowVersion {
            facts: load::facts_of(bucket, first).await?,
            candidates: candidates.clone(),
        });
    }
    let rest = versions.last().map_or(first, |step| step.facts.number + 1)..=newest;
    let mut entries = stream::iter(rest)
        .map(|number| async move {
            let entry = log::get(bucket, &keys::log_entry(number), log::ENTRY_BYTES_MAX).await?;
            Ok::<_, TableError>((number, entry))
        })
        .buffered(ENTRIES_IN_FLIGHT);
    while let Some((number, object)) = entries.try_next().await? {
        let actions = log::parse_entry(&object)?;
        candidates.apply(&object.meta.key, &actions, row_id)?;
        let commit = replay::commit_facts(&actions, object.meta.modified);
        versions.push(RowVersion {
            facts: VersionFacts::new(number, &commit),
            candidates: candidates.clone(),
        });
    }
    drop(entries);
    Ok(RowVersions { versions, reach })
}

/// The first version to examine, and the reason: the oldest version, or a checkpoint that is recent enough.
fn first_version(listing: &Listing, loadable: &RangeInclusive<u64>, newest: u64) -> (u64, Reach) {
    let first = *loadable.start();
    let reach = if first == 0 { Reach::Whole } else { Reach::LogEnds };
    let nearest = newest.saturating_sub(VERSIONS_MAX);
    match listing.checkpoints.range(nearest..=newest).next() {
        Some(checkpoint) if first < nearest => (*checkpoint, Reach::Bound),
        _ => (first, reach),
    }
}

impl Candidates {
    /// Applies the actions of a checkpoint or of the next entry.
    fn apply(&mut self, key: &str, actions: &[Action], row_id: &RowId) -> Result<(), TableError> {
        let metadata = actions.iter().rev().find_map(|action| action.meta_data.as_ref());
        if let Some(metadata) = metadata.filter(|metadata| !self.schema.is_of(metadata)) {
            self.schema = Arc::new(TableSchema::of_metadata(metadata)?);
        }
        for action in actions {
            if let Some(remove) = &action.remove {
                let path = percent_decoded(&remove.path);
                if self.files.contains(&path) {
                    Arc::make_mut(&mut self.files).remove(&path);
                }
            }
            if let Some(add) = &action.add {
                replay::check_add(key, add)?;
                // A file without statistics may contain any row.
                let may_contain = RowsAndBounds::of(add, &self.schema).is_none_or(|found| found.may_contain(row_id.as_str()));
                let path = percent_decoded(&add.path);
                if may_contain && !self.files.contains(&path) {
                    Arc::make_mut(&mut self.files).insert(path);
                }
            }
        }
        Ok(())
    }
}
