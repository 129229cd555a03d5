//! Brings copied pictures in line with the sources: before the commit those that it links, after it those that it unlinked.

use std::collections::BTreeMap;

use datalake_core::{
    keys,
    plan::{Seen, SourceObject},
    row::Row,
    user::UserId,
};
use datalake_store::{
    bucket::{Bucket, Etag, Head, Metadata, ObjectMeta},
    error::StoreError,
};
use datalake_table::{
    table::{Edit, Table},
    version::Version,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    apply::{self, Picture},
    error::RunError,
    options::Progress,
    read::{CsvRead, ImageRead, Reader, UserRead},
};

/// Copies and removals in flight: the store moves the bytes, so that only latency counts.
pub(crate) const PICTURES_IN_FLIGHT_MAX: usize = 64;

/// The source's tag, kept with its copy: where a store gives a copy another tag, this tells what it is a copy of.
const SOURCE_ETAG: &str = "source-etag";

/// An earlier tag of the source under which it had the same bytes, kept beside the newer one.
const EARLIER_ETAG: &str = "earlier-source-etag";

/// Whether a copy that was put with this metadata is one of the source's state of this tag.
pub(crate) fn is_of(metadata: &Metadata, source_etag: &str) -> bool {
    [SOURCE_ETAG, EARLIER_ETAG]
        .iter()
        .any(|name| metadata.get(*name).is_some_and(|etag| etag == source_etag))
}

/// What is to become of a user's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays as it was.
    Kept,
    /// There is none any more.
    Gone,
    /// The copy holds the source's bytes, which are those of the linked picture, perhaps under another tag.
    Confirmed,
    /// The source is the linked picture, and the copy is not of it.
    Lost,
    /// The source is another picture.
    Replaced,
}

/// Compares the pictures that were read with the linked ones and their copies; nothing is changed. In the order of `reads`.
pub(crate) async fn judge(reader: &Reader<'_>, old_rows: &BTreeMap<UserId, Row>, reads: &[UserRead]) -> Result<Vec<Verdict>, StoreError> {
    stream::iter(reads)
        .map(|read| judge_one(reader, old_rows, read))
        .buffered(PICTURES_IN_FLIGHT_MAX)
        .try_collect()
        .await
}

async fn judge_one(reader: &Reader<'_>, old_rows: &BTreeMap<UserId, Row>, read: &UserRead) -> Result<Verdict, StoreError> {
    let (digest, object) = match &read.image {
        // A rejected picture leaves the previous good one linked.
        ImageRead::Same | ImageRead::Rejected { .. } => return Ok(Verdict::Kept),
        ImageRead::Gone => return Ok(Verdict::Gone),
        ImageRead::Good { .. } if !apply::has_row_after(old_rows, read) => return Ok(Verdict::Kept),
        ImageRead::Good { digest, object } => (digest, object),
    };
    let Some(linked) = old_rows.get(&read.user_id).and_then(|row| row.image.as_ref()) else {
        return Ok(Verdict::Replaced);
    };
    let held = reader.holds(&keys::image(read.user_id.as_str()), object.size, digest).await?;
    let is_linked = linked.names(&object.etag, object.size);
    // The copy may be that of a run that died before it committed: then the picture is another than the row's, though the bytes are there.
    Ok(match held {
        Some(metadata) if is_of(&metadata, &linked.etag) => Verdict::Confirmed,
        _ if is_linked => Verdict::Lost,
        _ => Verdict::Replaced,
    })
}

/// Copies each picture that a row will link and of which there is no copy, and says what became of every user's, in the order of `reads`.
pub(crate) async fn settle(
    bucket: &dyn Bucket,
    reads: &[UserRead],
    verdicts: &[Verdict],
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Picture>, StoreError> {
    let total = reads.len();
    let mut pictures = Vec::with_capacity(total);
    let mut settled = stream::iter(reads.iter().zip(verdicts))
        .map(|(read, verdict)| settle_one(bucket, read, *verdict))
        .buffered(PICTURES_IN_FLIGHT_MAX);
    while let Some(picture) = settled.try_next().await? {
        pictures.push(picture);
        progress(Progress::Copied {
            users: pictures.len(),
            total,
        });
    }
    Ok(pictures)
}

async fn settle_one(bucket: &dyn Bucket, read: &UserRead, verdict: Verdict) -> Result<Picture, StoreError> {
    let ImageRead::Good { object, .. } = &read.image else {
        return Ok(match verdict {
            Verdict::Gone => Picture::Gone,
            _ => Picture::Kept,
        });
    };
    let settled = match verdict {
        Verdict::Kept | Verdict::Gone => return Ok(Picture::Kept),
        Verdict::Confirmed => return Ok(Picture::Confirmed(object.provenance())),
        Verdict::Lost => Picture::Confirmed,
        Verdict::Replaced => Picture::Copied,
    };
    match copy(bucket, object, &keys::image(read.user_id.as_str()), None).await {
        Ok(()) => Ok(settled(object.provenance())),
        // Replaced or removed since it was read: the next run sees it, and until then the picture is as it was.
        Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(Picture::Kept),
        Err(error) => Err(error),
    }
}

/// Whose copies a run with these verdicts changes, before its commit or after it.
pub(crate) fn changed<'a>(
    old_rows: &'a BTreeMap<UserId, Row>,
    reads: &'a [UserRead],
    verdicts: &'a [Verdict],
) -> impl Iterator<Item = &'a UserId> {
    let has_picture = move |user_id: &UserId| old_rows.get(user_id).is_some_and(|row| row.image.is_some());
    let is_changed = move |(read, verdict): &(&UserRead, &Verdict)| match verdict {
        Verdict::Replaced => true,
        Verdict::Gone => has_picture(&read.user_id),
        Verdict::Kept | Verdict::Confirmed | Verdict::Lost => matches!(read.csv, CsvRead::Gone) && has_picture(&read.user_id),
    };
    reads.iter().zip(verdicts).filter(is_changed).map(|(read, _)| &read.user_id)
}

/// Makes the copies of pictures whose source has the same bytes under a new tag say so: from the commit of `edits` on the rows name the
/// new tag, and the picture that is read under yet another must be known again. The earlier tag stays beside it, for the case that the
/// commit never comes. A row whose source is another by now keeps its tag. `copied` are those whose copies are new, sorted.
pub(crate) async fn retag(
    bucket: &dyn Bucket,
    old_rows: &BTreeMap<UserId, Row>,
    edits: &mut [Edit],
    copied: &[UserId],
) -> Result<(), StoreError> {
    let touched = edits.iter_mut().filter_map(|edit| match edit {
        Edit::Put(row) if copied.binary_search(&row.user_id).is_err() => {
            let old = old_rows.get(&row.user_id)?.image.as_ref()?;
            row.image.as_ref().filter(|new| new.etag != old.etag)?;
            Some((row, old))
        }
        Edit::Put(_) | Edit::Remove(_) => None,
    });
    stream::iter(touched)
        .map(|(row, old)| async move {
            if !restore_as(bucket, row, Some(&old.etag)).await? {
                row.image = Some(old.clone());
            }
            Ok(())
        })
        .buffer_unordered(PICTURES_IN_FLIGHT_MAX)
        .try_collect()
        .await
}

/// Copies a source picture within the store, as long as it is the one that was listed.
async fn copy(bucket: &dyn Bucket, object: &SourceObject, copy_key: &str, earlier_etag: Option<&str>) -> Result<(), StoreError> {
    let mut metadata = Metadata::from([(SOURCE_ETAG.to_owned(), object.etag.to_string())]);
    metadata.extend(earlier_etag.map(|etag| (EARLIER_ETAG.to_owned(), etag.to_owned())));
    bucket
        .copy(&object.key, &Etag::new(&object.etag), copy_key, &metadata)
        .await
        .map(drop)
}

/// Copies again those of the pictures just linked whose copies are gone: a run that unlinked them earlier may have removed one after it
/// was copied and before it was linked. That run looks at the table again after its removals, and this one at the copies after its commit,
/// so that one of the two sees it.
pub(crate) async fn verify_linked(bucket: &dyn Bucket, table: &Table, version: &Version, linked: &[UserId]) -> Result<(), RunError> {
    let mut missing: Vec<UserId> = stream::iter(linked)
        .map(|user_id| is_missing(bucket, user_id))
        .buffer_unordered(PICTURES_IN_FLIGHT_MAX)
        .try_filter_map(async |missing| Ok(missing))
        .try_collect()
        .await?;
    missing.sort_unstable();
    restore_linked(bucket, table, version, &missing).await
}

async fn is_missing(bucket: &dyn Bucket, user_id: &UserId) -> Result<Option<UserId>, StoreError> {
    match bucket.head(&keys::image(user_id.as_str())).await {
        Ok(_) => Ok(None),
        Err(StoreError::NotFound { .. }) => Ok(Some(user_id.clone())),
        Err(error) => Err(error),
    }
}

/// Copies the pictures that the newest version links of these users, who are sorted.
pub(crate) async fn restore_linked(bucket: &dyn Bucket, table: &Table, version: &Version, user_ids: &[UserId]) -> Result<(), RunError> {
    if user_ids.is_empty() {
        return Ok(());
    }
    let newer = table.newer_than(version).await?;
    for row in table.rows_of(newer.as_ref().unwrap_or(version), user_ids).await?.into_values() {
        restore(bucket, &row).await?;
    }
    Ok(())
}

/// Removes the copies of pictures that `version` unlinked, and gives their number. Where a newer version has linked one again meanwhile,
/// its copy may be the one that was removed: it is copied again.
pub(crate) async fn remove_unlinked(bucket: &dyn Bucket, table: &Table, version: &Version, unlinked: &[UserId]) -> Result<u64, RunError> {
    if unlinked.is_empty() {
        return Ok(0);
    }
    let removed = stream::iter(unlinked)
        .map(|user_id| remove(bucket, keys::image(user_id.as_str())))
        .buffer_unordered(PICTURES_IN_FLIGHT_MAX)
        .try_fold(0, async |removed, one| Ok(removed + one))
        .await?;
    let mut linked_again: Vec<UserId> = unlinked.to_vec();
    linked_again.sort_unstable();
    restore_linked(bucket, table, version, &linked_again).await?;
    Ok(removed)
}

async fn remove(bucket: &dyn Bucket, copy_key: String) -> Result<u64, StoreError> {
    let gone = |error| match error {
        StoreError::NotFound { .. } | StoreError::Conflict { .. } => Ok(0),
        error => Err(error),
    };
    match bucket.head(&copy_key).await {
        Ok(head) => bucket.delete(&copy_key, Some(&head.meta.etag)).await.map(|()| 1).or_else(gone),
        Err(error) => gone(error),
    }
}

/// Copies the picture that a row links, where its source is still the one that the row recorded. Otherwise the next run sees the change.
pub(crate) async fn restore(bucket: &dyn Bucket, row: &Row) -> Result<bool, StoreError> {
    restore_as(bucket, row, None).await
}

async fn restore_as(bucket: &dyn Bucket, row: &Row, earlier_etag: Option<&str>) -> Result<bool, StoreError> {
    let Some(image) = &row.image else { return Ok(false) };
    for key in keys::image_sources(&row.user_id) {
        let object = SourceObject {
            key: key.into(),
            etag: image.etag.clone(),
            size: image.size,
            modified: image.modified,
        };
        match copy(bucket, &object, &keys::image(row.user_id.as_str()), earlier_etag).await {
            Ok(()) => return Ok(true),
            Err(StoreError::NotFound { .. } | StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether an object is a copy of a picture in the state that the table recorded.
pub(crate) async fn is_copy_of(bucket: &dyn Bucket, copy: &ObjectMeta, image: &Seen) -> Result<bool, StoreError> {
    if copy.size != image.size {
        return Ok(false);
    }
    if copy.etag.as_str() == &*image.etag {
        return Ok(true);
    }
    // Where a store gives a copy another tag, the copy's metadata has the source's.
    match bucket.head(&copy.key).await {
        Ok(head) => Ok(is_of(&head.metadata, &image.etag)),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Copies the picture that a row links again, unless its copy is of it.
pub(crate) async fn restore_if_different(bucket: &dyn Bucket, row: &Row) -> Result<(), StoreError> {
    let Some(image) = &row.image else { return Ok(()) };
    let is_copied = match bucket.head(&keys::image(row.user_id.as_str())).await {
        Ok(Head { meta, metadata }) => meta.size == image.size && (meta.etag.as_str() == &*image.etag || is_of(&metadata, &image.etag)),
        Err(StoreError::NotFound { .. }) => false,
        Err(error) => return Err(error),
    };
    match is_copied {
        true => Ok(()),
        false => restore(bucket, row).await.map(drop),
    }
}
