//! What one user's row was, version after version, from the log and as few segments as can be.
//!
//! One walk through the log finds for each version the files that may hold the row. Then the files are read from the newest version
//! back: a row names the run that changed it last, so that the versions in between need no read, unless another engine made one of them.

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc};

use datalake_core::{keys, report::RunId, row::Row, user::UserId};
use datalake_store::{bucket::Bucket, error::StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    blocking::decode,
    delta::{
        actions::Action,
        checkpoint,
        log::{self, Listing},
        parquet_rows, replay,
        version::{Author, VersionFacts, percent_decoded},
    },
    error::TableError,
};

/// Six weeks of hourly runs; the log keeps one. Their entries are read and thrown away one after the other.
const VERSIONS_MAX: u64 = 1_000;

/// A segment takes a good tenth of a second to fetch and decode: a history takes a few seconds at most.
const SEGMENT_READS_MAX: usize = 32;

/// Entries are small: their number in flight hides latency and costs no memory.
const ENTRIES_IN_FLIGHT: usize = 8;

/// What a user's row was for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowState {
    /// The version that made it so. Of the last state of a history that is not whole: the oldest version that was looked at.
    pub version: VersionFacts,
    /// The row; none where the user had none.
    pub row: Option<Row>,
}

/// Why a history goes back no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It goes back to the table's first version.
    Whole,
    /// Entries before are removed from the log.
    LogEnds,
    /// The files of the versions before are removed.
    FilesGone,
    /// More would be too much work for one question.
    Bound,
}

/// What a user's row was, the newest state first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowHistory {
    /// Neighbours differ. None where the user is in no version that was looked at.
    pub states: Vec<RowState>,
    /// The oldest version that was looked at.
    pub oldest: u64,
    /// Why none before it was.
    pub reach: Reach,
}

/// The versions of a log in ascending order without a gap; not empty.
#[derive(Debug)]
struct Trail {
    steps: Vec<Step>,
    /// Why it begins where it does.
    reach: Reach,
}

/// A version as far as one user is concerned.
#[derive(Debug)]
struct Step {
    facts: VersionFacts,
    /// Paths of the files that may hold the row.
    files: Arc<BTreeSet<String>>,
}

pub(crate) async fn history(bucket: &Arc<dyn Bucket>, newest: u64, user_id: &UserId) -> Result<RowHistory, TableError> {
    let trail = trail(bucket, newest, user_id).await?;
    walk(bucket, &trail, user_id).await
}

/// From the newest version back.
async fn walk(bucket: &Arc<dyn Bucket>, trail: &Trail, user_id: &UserId) -> Result<RowHistory, TableError> {
    let steps = &trail.steps;
    let mut states: Vec<RowState> = Vec::new();
    let (mut reads, mut end) = (0, steps.len());
    let reach = loop {
        let Some(step) = end.checked_sub(1).and_then(|at| steps.get(at)) else {
            break trail.reach;
        };
        reads += step.files.len();
        if reads > SEGMENT_READS_MAX && end < steps.len() {
            break Reach::Bound;
        }
        let row = match row_in(bucket, &step.files, user_id).await {
            Err(TableError::Store(StoreError::NotFound { .. })) if end < steps.len() => break Reach::FilesGone,
            row => row?,
        };
        end = first_alike(&steps[..end], row.as_ref().map(|row| &row.run_id));
        let state = RowState {
            version: steps[end].facts.clone(),
            row,
        };
        match states.last_mut() {
            Some(last) if is_same(last.row.as_ref(), state.row.as_ref()) => *last = state,
            _ => states.push(state),
        }
    };
    // That there was no row before there was one is no state of it.
    states.pop_if(|oldest| oldest.row.is_none());
    let oldest = steps.get(end).or(steps.last()).map_or(0, |step| step.facts.number);
    Ok(RowHistory { states, oldest, reach })
}

/// The index of the first step that shows the user as the last one does, as far as that is known without a read: those whose files are
/// the same, and those since the run that changed the row last, back to where another engine may have changed it without a trace.
fn first_alike(steps: &[Step], changed_by: Option<&RunId>) -> usize {
    let last = steps.last().map(|step| &step.files);
    let first = steps
        .iter()
        .rposition(|step| Some(&step.files) != last)
        .map_or(0, |other| other + 1);
    let Some(changed_by) = changed_by else { return first };
    for (index, step) in steps.iter().enumerate().take(first + 1).rev() {
        if step.facts.run_id.as_ref() == Some(changed_by) {
            return index;
        }
        if step.facts.author != Author::Run {
            return first;
        }
    }
    0
}

fn is_same(a: Option<&Row>, b: Option<&Row>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.is_visibly_equal(b) && a.run_id == b.run_id,
        _ => false,
    }
}

async fn row_in(bucket: &Arc<dyn Bucket>, files: &BTreeSet<String>, user_id: &UserId) -> Result<Option<Row>, TableError> {
    for path in files {
        let object = bucket.get(&keys::table_file(path), None, None).await?;
        let wanted = user_id.clone();
        let found = decode(object, move |key, bytes| {
            let rows = parquet_rows::rows(key, bytes)?;
            Ok(rows.into_iter().find(|row| row.user_id == wanted))
        });
        if let Some(row) = found.await? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

async fn trail(bucket: &Arc<dyn Bucket>, newest: u64, user_id: &UserId) -> Result<Trail, TableError> {
    let listing = log::list(bucket, 0).await?;
    let loadable = listing
        .loadable()
        .filter(|loadable| loadable.contains(&newest))
        .ok_or(TableError::NoSuchVersion { version: newest })?;
    let (first, reach) = begin(&listing, &loadable, newest);
    let mut files = Arc::new(BTreeSet::new());
    let mut steps = Vec::new();
    if first > 0 || !listing.entries.contains(&0) {
        let object = log::get(bucket, &keys::checkpoint(first), log::CHECKPOINT_BYTES_MAX).await?;
        let key = object.meta.key.clone();
        let actions = decode(object, checkpoint::decode).await?;
        follow(&mut files, &key, &actions, user_id)?;
        steps.push(Step {
            facts: log::facts_of(bucket, first).await?,
            files: Arc::clone(&files),
        });
    }
    let rest = steps.last().map_or(first, |step| step.facts.number + 1)..=newest;
    let mut entries = stream::iter(rest)
        .map(|number| async move {
            let entry = log::get(bucket, &keys::log_entry(number), log::ENTRY_BYTES_MAX).await?;
            Ok::<_, TableError>((number, entry))
        })
        .buffered(ENTRIES_IN_FLIGHT);
    while let Some((number, object)) = entries.try_next().await? {
        let actions = log::parse_entry(&object)?;
        follow(&mut files, &object.meta.key, &actions, user_id)?;
        let commit = replay::commit_facts(&actions, object.meta.modified);
        steps.push(Step {
            facts: VersionFacts::new(number, &commit),
            files: Arc::clone(&files),
        });
    }
    drop(entries);
    Ok(Trail { steps, reach })
}

/// Where to begin, and why there: at the oldest version, or at a checkpoint that is near enough.
fn begin(listing: &Listing, loadable: &RangeInclusive<u64>, newest: u64) -> (u64, Reach) {
    let first = *loadable.start();
    let reach = if first == 0 { Reach::Whole } else { Reach::LogEnds };
    let nearest = newest.saturating_sub(VERSIONS_MAX);
    match listing.checkpoints.range(nearest..=newest).next() {
        Some(checkpoint) if first < nearest => (*checkpoint, Reach::Bound),
        _ => (first, reach),
    }
}

/// Applies actions to the files that may hold the user's row.
fn follow(files: &mut Arc<BTreeSet<String>>, key: &str, actions: &[Action], user_id: &UserId) -> Result<(), TableError> {
    for action in actions {
        if let Some(remove) = &action.remove {
            let path = percent_decoded(&remove.path);
            if files.contains(&path) {
                Arc::make_mut(files).remove(&path);
            }
        }
        if let Some(add) = &action.add {
            replay::check_add(key, add)?;
            // A file whose adder did not say what it holds may hold anybody.
            let may_hold = replay::bounds(add)
                .is_none_or(|(rows, least, greatest)| rows > 0 && *least <= *user_id.as_str() && *user_id.as_str() <= *greatest);
            let path = percent_decoded(&add.path);
            if may_hold && !files.contains(&path) {
                Arc::make_mut(files).insert(path);
            }
        }
    }
    Ok(())
}
