//! Image copies before the commit: which images a run links, and the copies of those that are newly linked.

use std::collections::BTreeMap;

use datalake_core::{
    image, keys,
    plan::SourceVersion,
    row::{Provenance, Row},
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, Etag, Head, Metadata, ObjectMeta, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    apply::{self, Image},
    fence::Fence,
    image_budget::ImageBudget,
    options::Progress,
    read::{CsvRead, ImageRead, Reader, UserRead},
};

/// Copies and removals in flight: the store moves the bytes, so that only latency counts.
pub(crate) const IMAGES_IN_FLIGHT_MAX: usize = 64;

/// The source's ETag in a copy's metadata: where a store gives a copy another ETag, this says what it is a copy of.
const SOURCE_ETAG: &str = "source-etag";

/// The source's size in the metadata of a copy that lacks the bytes that follow the image in the source.
const SOURCE_SIZE: &str = "source-size";

/// What is to become of a user's image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays as it was.
    Kept,
    /// The row links none any more.
    Gone,
    /// The copy has the source's bytes, which are those of the linked image, perhaps under another ETag.
    Confirmed,
    /// The source is the linked image, and the copy is not of it.
    CopyLost,
    /// The user had no image.
    New,
    /// The source is another image than the linked one.
    Replaced,
}

/// Compares the images that were read with the linked ones and their copies; nothing is changed. In the order of `reads`.
pub(crate) async fn judge(reader: &Reader<'_>, old_rows: &BTreeMap<UserId, Row>, reads: &[UserRead]) -> Result<Vec<Verdict>, StoreError> {
    stream::iter(reads)
        .map(|read| judge_one(reader, old_rows, read))
        .buffered(IMAGES_IN_FLIGHT_MAX)
        .try_collect()
        .await
}

async fn judge_one(reader: &Reader<'_>, old_rows: &BTreeMap<UserId, Row>, read: &UserRead) -> Result<Verdict, StoreError> {
    let linked = old_rows.get(&read.user_id).and_then(|row| row.image.as_ref());
    let (image, object) = match &read.image {
        ImageRead::Same => return Ok(Verdict::Kept),
        ImageRead::Gone => return Ok(Verdict::Gone),
        ImageRead::Rejected { .. } => {
            // The last valid image stays linked, if its bytes are still there: the source no longer has them.
            let Some(linked) = linked else { return Ok(Verdict::Kept) };
            let is_kept = simulation::has(Bug::RejectedImageStaysLinked) || has_copy(reader.bucket(), &read.user_id, linked).await?;
            return Ok(if is_kept { Verdict::Kept } else { Verdict::Gone });
        }
        ImageRead::Good { .. } if !apply::has_row_after(old_rows, read) => return Ok(Verdict::Kept),
        ImageRead::Good { image, object } => (image, object),
    };
    let Some(linked) = linked else { return Ok(Verdict::New) };
    let copy = reader.holds(&keys::image(read.user_id.as_str()), image).await?;
    let is_linked = linked.matches(&object.etag, object.size);
    Ok(match copy {
        // A folder that was copied as a whole has lost the metadata of its objects; the bytes alone are compared then.
        Some(metadata) if is_of(&metadata, &linked.etag) || !metadata.contains_key(SOURCE_ETAG) => Verdict::Confirmed,
        _ if is_linked => Verdict::CopyLost,
        _ => Verdict::Replaced,
    })
}

/// The users whose copies a run with these verdicts changes, before its commit or after it.
pub(crate) fn changed<'a>(
    old_rows: &'a BTreeMap<UserId, Row>,
    reads: &'a [UserRead],
    verdicts: &'a [Verdict],
) -> impl Iterator<Item = UserId> + 'a {
    let has_image = move |user_id: &UserId| old_rows.get(user_id).is_some_and(|row| row.image.is_some());
    let is_changed = move |(read, verdict): &(&UserRead, &Verdict)| match verdict {
        Verdict::New | Verdict::Replaced | Verdict::CopyLost => true,
        Verdict::Gone => has_image(&read.user_id),
        Verdict::Kept | Verdict::Confirmed => matches!(read.csv, CsvRead::Gone) && has_image(&read.user_id),
    };
    reads.iter().zip(verdicts).filter(is_changed).map(|(read, _)| read.user_id.clone())
}

/// Copies the images that are newly linked, and returns what becomes of every user's image, in the order of `reads`. Replaced images are
/// copied after the commit: until then rows link the old one.
pub(crate) async fn copy_new(
    fence: &Fence<'_>,
    reads: &[UserRead],
    verdicts: &[Verdict],
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Image>, StoreError> {
    let total = reads.len();
    let mut images = Vec::with_capacity(total);
    let budget = ImageBudget::default();
    let mut copied = stream::iter(reads.iter().zip(verdicts))
        .map(|(read, verdict)| copy_one(fence, &budget, read, *verdict))
        .buffered(IMAGES_IN_FLIGHT_MAX);
    while let Some(image) = copied.try_next().await? {
        images.push(image);
        progress(Progress::Copied {
            users: images.len(),
            total,
        });
    }
    Ok(images)
}

async fn copy_one(fence: &Fence<'_>, budget: &ImageBudget, read: &UserRead, verdict: Verdict) -> Result<Image, StoreError> {
    let ImageRead::Good { image, object } = &read.image else {
        return Ok(match verdict {
            Verdict::Gone => Image::Gone,
            _ => Image::Kept,
        });
    };
    match verdict {
        Verdict::Kept | Verdict::Gone => return Ok(Image::Kept),
        Verdict::Confirmed | Verdict::CopyLost => return Ok(Image::Confirmed(object.provenance())),
        Verdict::Replaced if !simulation::has(Bug::ReplacedImageIsCopiedBeforeCommit) => return Ok(Image::Linked(object.provenance())),
        Verdict::New if simulation::has(Bug::NewImageIsNotCopiedBeforeCommit) => return Ok(Image::Linked(object.provenance())),
        Verdict::New | Verdict::Replaced => {}
    }
    let (source, copy_key) = (object.provenance(), keys::image(read.user_id.as_str()));
    let copied = fence
        .write(async |bucket| match image.length == source.size {
            true => copy(bucket, &object.key, &source, &copy_key).await,
            false => copy_part(bucket, budget, &object.key, &source, &copy_key).await,
        })
        .await;
    match copied {
        Ok(()) => Ok(Image::Linked(object.provenance())),
        // Replaced or removed since it was read: the next run sees it, and until then the user has no image.
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(Image::Kept),
        Err(error) => Err(error),
    }
}

/// Copies a source image within the store, as long as it has the recorded ETag.
async fn copy(bucket: &dyn Bucket, key: &str, image: &Provenance, copy_key: &str) -> Result<(), StoreError> {
    let metadata = Metadata::from([(SOURCE_ETAG.to_owned(), image.etag.to_string())]);
    let condition = if simulation::has(Bug::ImageCopyIsUnconditional) {
        bucket.head(key).await?.meta.etag
    } else {
        Etag::new(&image.etag)
    };
    bucket.copy(key, &condition, copy_key, &metadata).await.map(drop)
}

/// Writes the part of a source that is the image, as long as the source has the recorded ETag. Copies the source if that is all of it.
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

/// Copies the image that a row links, if its source still is what the row recorded. False otherwise.
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

/// Whether the copy of a user's image is of the state that a row recorded.
pub(crate) async fn has_copy(bucket: &dyn Bucket, user_id: &UserId, image: &Provenance) -> Result<bool, StoreError> {
    match bucket.head(&keys::image(user_id.as_str())).await {
        Ok(head) => Ok(is_copy(&head, &image.etag, image.size)),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a listed object is a copy of an image in the state that the table recorded.
pub(crate) async fn is_copy_of(bucket: &dyn Bucket, copy: &ObjectMeta, image: &SourceVersion) -> Result<bool, StoreError> {
    if copy.size == image.size && copy.etag.as_str() == &*image.etag {
        return Ok(true);
    }
    // The metadata says what the copy is of, if the store gives a copy another ETag, and if bytes that follow the image were left out.
    match bucket.head(&copy.key).await {
        Ok(head) => Ok(is_copy(&head, &image.etag, image.size)),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an object is a copy of the source in this state.
fn is_copy(copy: &Head, source_etag: &str, source_size: u64) -> bool {
    match copy.metadata.get(SOURCE_SIZE) {
        Some(size) => size.parse() == Ok(source_size) && is_of(&copy.metadata, source_etag),
        None => copy.meta.size == source_size && (copy.meta.etag.as_str() == source_etag || is_of(&copy.metadata, source_etag)),
    }
}

fn is_of(metadata: &Metadata, source_etag: &str) -> bool {
    metadata.get(SOURCE_ETAG).is_some_and(|etag| etag == source_etag)
}
