//! Makes, finds and removes single image copies.

use datalake_core::{image, keys, plan::SourceVersion, row::Provenance, user::UserId};
use datalake_store::{
    bucket::{Bucket, Etag, Head, Metadata, ObjectMeta, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{copy_state::CopyState, fence::Fence};
use crate::{
    image_budget::ImageBudget,
    options::{OnProgress, Progress},
    read::{ImageRead, UserRead},
};

/// Copies and removals in flight: the store moves the bytes, so that only latency counts.
pub(crate) const IMAGES_IN_FLIGHT_MAX: usize = 64;

/// The source's ETag in a copy's metadata, for stores that give a copy another ETag.
const SOURCE_ETAG: &str = "source-etag";

/// The source's size in the metadata of a copy that lacks the bytes after the end of the image in the source.
const SOURCE_SIZE: &str = "source-size";

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

/// Copies the images that are newly linked, and returns how every user's image changes, in the order of `reads`. Replaced images are copied after
/// the commit, because rows link the old ones until then.
pub(crate) async fn copy_new(
    bucket: &dyn Bucket,
    reads: &[UserRead],
    states: &[CopyState],
    progress: &OnProgress,
) -> Result<Vec<ImageUpdate>, StoreError> {
    let total = reads.len();
    let mut updates = Vec::with_capacity(total);
    let (fence, budget) = (Fence::new(bucket), ImageBudget::default());
    let mut copied = stream::iter(reads.iter().zip(states))
        .map(|(read, state)| copy_if_new(&fence, &budget, read, *state))
        .buffered(IMAGES_IN_FLIGHT_MAX);
    while let Some(update) = copied.try_next().await? {
        updates.push(update);
        progress(Progress::Copied {
            users: updates.len(),
            total,
        });
    }
    Ok(updates)
}

async fn copy_if_new(fence: &Fence<'_>, budget: &ImageBudget, read: &UserRead, state: CopyState) -> Result<ImageUpdate, StoreError> {
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
        CopyState::New | CopyState::Replaced => {}
    }
    let (source, copy_key) = (object.provenance(), keys::image(read.user_id.as_str()));
    let copied = fence
        .write(async |bucket| match image.length == source.size {
            true => copy(bucket, &object.key, &source, &copy_key).await,
            false => copy_part(bucket, budget, &object.key, &source, &copy_key).await,
        })
        .await;
    match copied {
        Ok(()) => Ok(ImageUpdate::Link(source)),
        // The source was replaced or removed after it was read. The next run sees that; until then the user has no image.
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(ImageUpdate::Keep),
        Err(error) => Err(error),
    }
}

/// Copies a source image within the store, if it still has the recorded ETag.
async fn copy(bucket: &dyn Bucket, key: &str, image: &Provenance, copy_key: &str) -> Result<(), StoreError> {
    let metadata = Metadata::from([(SOURCE_ETAG.to_owned(), image.etag.to_string())]);
    let condition = if simulation::has(Bug::ImageCopyIsUnconditional) {
        bucket.head(key).await?.meta.etag
    } else {
        Etag::new(&image.etag)
    };
    bucket.copy(key, &condition, copy_key, &metadata).await.map(drop)
}

/// Writes the part of a source that is the image, if the source still has the recorded ETag. Copies the source if all of it is the image.
async fn copy_part(bucket: &dyn Bucket, budget: &ImageBudget, key: &str, image: &Provenance, copy_key: &str) -> Result<(), StoreError> {
    let _permit = budget.acquire(image.size).await;
    let found = bucket.get(key, Some(&Etag::new(&image.etag)), None).await?;
    match image::length(&found.bytes) {
        Some(length) if length < found.bytes.len() => {
            let metadata = Metadata::from([
                (SOURCE_ETAG.to_owned(), image.etag.to_string()),
                (SOURCE_SIZE.to_owned(), image.size.to_string()),
            ]);
            let bytes = found.bytes.slice(..length);
            bucket.put(copy_key, bytes, PutMode::Replace, &metadata).await.map(drop)
        }
        _ => copy(bucket, key, image, copy_key).await,
    }
}

/// Copies the image that a row links, if its source still is what the row recorded. Returns false otherwise.
pub(crate) async fn restore(bucket: &dyn Bucket, budget: &ImageBudget, user_id: &UserId, image: &Provenance) -> Result<bool, StoreError> {
    for key in keys::image_sources(user_id) {
        match copy_part(bucket, budget, &key, image, &keys::image(user_id.as_str())).await {
            Ok(()) => return Ok(true),
            Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Removes a user's copy unless another run replaces it at the same time. Returns whether it was removed.
pub(crate) async fn remove(bucket: &dyn Bucket, user_id: &UserId) -> Result<bool, StoreError> {
    let copy_key = keys::image(user_id.as_str());
    let current = match bucket.head(&copy_key).await {
        Ok(head) => head.meta.etag,
        Err(StoreError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    match bucket.delete(&copy_key, Some(&current)).await {
        Ok(()) => Ok(true),
        Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the copy of a user's image was made from the version of the source that a row recorded.
pub(crate) async fn has_copy(bucket: &dyn Bucket, user_id: &UserId, image: &Provenance) -> Result<bool, StoreError> {
    match bucket.head(&keys::image(user_id.as_str())).await {
        Ok(head) => Ok(is_copy(&head, &image.etag, image.size)),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a listed copy was made from the version of the source that the table recorded.
pub(crate) async fn is_copy_of(bucket: &dyn Bucket, copy: &ObjectMeta, image: &SourceVersion) -> Result<bool, StoreError> {
    if copy.size == image.size && copy.etag.as_str() == &*image.etag {
        return Ok(true);
    }
    // The metadata is needed if the store gives a copy another ETag, and if bytes after the image were left out.
    match bucket.head(&copy.key).await {
        Ok(head) => Ok(is_copy(&head, &image.etag, image.size)),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an object is a copy of this version of the source.
fn is_copy(copy: &Head, source_etag: &str, source_size: u64) -> bool {
    match copy.metadata.get(SOURCE_SIZE) {
        Some(size) => size.parse() == Ok(source_size) && is_of_source(&copy.metadata, source_etag),
        None => copy.meta.size == source_size && (copy.meta.etag.as_str() == source_etag || is_of_source(&copy.metadata, source_etag)),
    }
}

fn is_of_source(metadata: &Metadata, source_etag: &str) -> bool {
    metadata.get(SOURCE_ETAG).is_some_and(|etag| etag == source_etag)
}

/// Whether the metadata of a copy names the source with this ETag, or no source.
pub(crate) fn is_of_source_or_unmarked(metadata: &Metadata, source_etag: &str) -> bool {
    is_of_source(metadata, source_etag) || !metadata.contains_key(SOURCE_ETAG)
}
