//! Copies newly linked files before the commit.

use datalake_core::{
    dataset::{Dataset, FileColumn},
    row::Provenance,
    row_id::RowId,
};
use datalake_store::{
    bucket::Bucket,
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    copies::{self, COPIES_IN_FLIGHT_MAX},
    copy_state::CopyState,
    fence::Fence,
};
use crate::{
    file_budget::FileBudget,
    options::{OnProgress, Progress},
    read::{FileRead, RowRead},
};

/// How the file that a row links changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileUpdate {
    /// The row links what it linked before.
    Keep,
    /// The row links no file.
    Unlink,
    /// The row links other bytes than before.
    Link(Provenance),
    /// The row links the same bytes as before, and records this version of the source.
    UpdateEtag(Provenance),
}

/// Copies the files that are newly linked, and returns how the files of every row change: rows in the order of `reads`, files in that of the
/// declaration. Replaced files are copied after the commit, because rows link the old ones until then.
pub(crate) async fn copy_new(
    bucket: &dyn Bucket,
    dataset: &Dataset,
    reads: &[RowRead],
    states: &[Box<[CopyState]>],
    progress: &OnProgress,
) -> Result<Vec<Box<[FileUpdate]>>, StoreError> {
    let total = reads.len();
    progress(Progress::Copied { done: 0, total });
    let mut updates = Vec::with_capacity(total);
    let (fence, budget) = (Fence::new(bucket), FileBudget::for_bytes());
    let mut copied = stream::iter(reads.iter().zip(states))
        .map(|(read, states)| copy_files_of(&fence, &budget, dataset, read, states))
        .buffered(COPIES_IN_FLIGHT_MAX);
    while let Some(update) = copied.try_next().await? {
        updates.push(update);
        progress(Progress::Copied {
            done: updates.len(),
            total,
        });
    }
    Ok(updates)
}

async fn copy_files_of(
    fence: &Fence<'_>,
    budget: &FileBudget,
    dataset: &Dataset,
    read: &RowRead,
    states: &[CopyState],
) -> Result<Box<[FileUpdate]>, StoreError> {
    let mut updates = Vec::with_capacity(states.len());
    for (index, (file, state)) in dataset.files().iter().zip(states).enumerate() {
        updates.push(copy_if_new(fence, budget, file, &read.row_id, read.file(index), *state).await?);
    }
    Ok(updates.into())
}

async fn copy_if_new(
    fence: &Fence<'_>,
    budget: &FileBudget,
    file: &FileColumn,
    row_id: &RowId,
    read: &FileRead,
    state: CopyState,
) -> Result<FileUpdate, StoreError> {
    let FileRead::Valid { bytes, object } = read else {
        return Ok(match state {
            CopyState::Unlinked => FileUpdate::Unlink,
            _ => FileUpdate::Keep,
        });
    };
    match state {
        CopyState::Unchanged | CopyState::Unlinked => return Ok(FileUpdate::Keep),
        CopyState::UpToDate | CopyState::Stale => return Ok(FileUpdate::UpdateEtag(object.provenance())),
        CopyState::Replaced if !simulation::has(Bug::ReplacedImageIsCopiedBeforeCommit) => {
            return Ok(FileUpdate::Link(object.provenance()));
        }
        CopyState::New if simulation::has(Bug::NewImageIsNotCopiedBeforeCommit) => return Ok(FileUpdate::Link(object.provenance())),
        // A file that is not copied is served from its source.
        CopyState::New | CopyState::Replaced if file.copy_to.is_none() => return Ok(FileUpdate::Link(object.provenance())),
        CopyState::New | CopyState::Replaced => {}
    }
    let (source, copy_key) = (object.provenance(), file.path_of(row_id));
    let copied = fence
        .write(async |bucket| match bytes.length == source.size {
            true => copies::copy(bucket, &object.key, &source, &copy_key).await,
            false => copies::copy_part(bucket, budget, &object.key, &source, &copy_key).await,
        })
        .await;
    match copied {
        Ok(()) => Ok(FileUpdate::Link(source)),
        // The source was replaced or removed after it was read. The next run sees that; until then the row has no file.
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(FileUpdate::Keep),
        Err(error) => Err(error),
    }
}
