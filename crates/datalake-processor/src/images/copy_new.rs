//! Copies newly linked images before the commit.

use datalake_core::{dataset::Dataset, keys, row::Provenance};
use datalake_store::{
    bucket::Bucket,
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    copies::{self, IMAGES_IN_FLIGHT_MAX},
    copy_state::CopyState,
    fence::Fence,
    image_sync::has_copies,
};
use crate::{
    image_budget::ImageBudget,
    options::{OnProgress, Progress},
    read::{ImageRead, RowRead},
};

/// How the image that a row links changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageUpdate {
    /// The row links what it linked before.
    Keep,
    /// The row links no image.
    Unlink,
    /// The row links other bytes than before.
    Link(Provenance),
    /// The row links the same bytes as before, and records this version of the source.
    UpdateEtag(Provenance),
}

/// Copies the images that are newly linked, and returns how every row's image changes, in the order of `reads`. Replaced images are copied after
/// the commit, because rows link the old ones until then.
pub(crate) async fn copy_new(
    bucket: &dyn Bucket,
    dataset: &Dataset,
    reads: &[RowRead],
    states: &[CopyState],
    progress: &OnProgress,
) -> Result<Vec<ImageUpdate>, StoreError> {
    let total = reads.len();
    progress(Progress::Copied { done: 0, total });
    let mut updates = Vec::with_capacity(total);
    let (fence, budget) = (Fence::new(bucket), ImageBudget::default());
    let mut copied = stream::iter(reads.iter().zip(states))
        .map(|(read, state)| copy_if_new(&fence, &budget, dataset, read, *state))
        .buffered(IMAGES_IN_FLIGHT_MAX);
    while let Some(update) = copied.try_next().await? {
        updates.push(update);
        progress(Progress::Copied {
            done: updates.len(),
            total,
        });
    }
    Ok(updates)
}

async fn copy_if_new(
    fence: &Fence<'_>,
    budget: &ImageBudget,
    dataset: &Dataset,
    read: &RowRead,
    state: CopyState,
) -> Result<ImageUpdate, StoreError> {
    let ImageRead::Valid { image, object } = &read.image else {
        return Ok(match state {
            CopyState::Unlinked => ImageUpdate::Unlink,
            _ => ImageUpdate::Keep,
        });
    };
    match state {
        CopyState::Unchanged | CopyState::Unlinked => return Ok(ImageUpdate::Keep),
        CopyState::UpToDate | CopyState::Stale => return Ok(ImageUpdate::UpdateEtag(object.provenance())),
        CopyState::Replaced if !simulation::has(Bug::ReplacedImageIsCopiedBeforeCommit) => {
            return Ok(ImageUpdate::Link(object.provenance()));
        }
        CopyState::New if simulation::has(Bug::NewImageIsNotCopiedBeforeCommit) => return Ok(ImageUpdate::Link(object.provenance())),
        // A file that is not copied is served from its source.
        CopyState::New | CopyState::Replaced if !has_copies(dataset) => return Ok(ImageUpdate::Link(object.provenance())),
        CopyState::New | CopyState::Replaced => {}
    }
    let (source, copy_key) = (object.provenance(), keys::image(dataset, read.row_id.as_str()));
    let copied = fence
        .write(async |bucket| match image.length == source.size {
            true => copies::copy(bucket, &object.key, &source, &copy_key).await,
            false => copies::copy_part(bucket, budget, &object.key, &source, &copy_key).await,
        })
        .await;
    match copied {
        Ok(()) => Ok(ImageUpdate::Link(source)),
        // The source was replaced or removed after it was read. The next run sees that; until then the row has no image.
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(ImageUpdate::Keep),
        Err(error) => Err(error),
    }
}
