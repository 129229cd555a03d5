//! How the image of each row that was read differs from the linked one and from its copy. Changes nothing.

use std::collections::BTreeMap;

use datalake_core::{keys, row::Row, row_id::RowId};
use datalake_store::{
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    copies::{self, IMAGES_IN_FLIGHT_MAX},
    image_sync::has_copies,
};
use crate::read::{CsvRead, ImageRead, Reader, RowRead};

/// The state of a row's copy, compared with the image that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyState {
    /// The row keeps the image that it links, if any.
    Unchanged,
    /// The row will no longer link an image.
    Unlinked,
    /// The copy has the bytes of the image that was read, which is the linked one, possibly under another ETag.
    UpToDate,
    /// The image that was read is the linked one, and the copy is missing or has other bytes.
    Stale,
    /// The row had no image.
    New,
    /// The image that was read is not the linked one.
    Replaced,
}

/// The states of all rows that were read, in the order of `reads`.
pub(crate) async fn find_all(
    reader: &Reader<'_>,
    old_rows: &BTreeMap<RowId, Row>,
    reads: &[RowRead],
) -> Result<Vec<CopyState>, StoreError> {
    stream::iter(reads)
        .map(|read| find(reader, old_rows, read))
        .buffered(IMAGES_IN_FLIGHT_MAX)
        .try_collect()
        .await
}

async fn find(reader: &Reader<'_>, old_rows: &BTreeMap<RowId, Row>, read: &RowRead) -> Result<CopyState, StoreError> {
    let dataset = reader.dataset();
    let linked = old_rows.get(&read.row_id).and_then(|row| row.file(0));
    let (image, object) = match &read.image {
        ImageRead::Same => return Ok(CopyState::Unchanged),
        ImageRead::Gone => return Ok(CopyState::Unlinked),
        ImageRead::Rejected { .. } => {
            // The last valid image stays linked if the copy still has its bytes: the source no longer has them.
            let Some(linked) = linked else { return Ok(CopyState::Unchanged) };
            let is_kept = has_copies(dataset)
                && (simulation::has(Bug::RejectedImageStaysLinked)
                    || copies::has_copy(reader.bucket(), dataset, &read.row_id, linked).await?);
            return Ok(if is_kept { CopyState::Unchanged } else { CopyState::Unlinked });
        }
        ImageRead::Valid { .. } if !read.has_row_after(old_rows) => return Ok(CopyState::Unchanged),
        ImageRead::Valid { image, object } => (image, object),
    };
    let Some(linked) = linked else { return Ok(CopyState::New) };
    let is_linked = linked.matches(&object.etag, object.size);
    if !has_copies(dataset) {
        return Ok(if is_linked { CopyState::UpToDate } else { CopyState::Replaced });
    }
    let copy = reader.read_copy(&keys::image(dataset, read.row_id.as_str()), image).await?;
    Ok(match copy {
        // If a folder was copied as a whole, its objects have lost their metadata; then only the bytes are compared.
        Some(metadata) if copies::is_of_source_or_unmarked(&metadata, &linked.etag) => CopyState::UpToDate,
        _ if is_linked => CopyState::Stale,
        _ => CopyState::Replaced,
    })
}

/// The rows whose copies a run changes, before its commit or after it.
pub(crate) fn users_with_changes<'a>(
    old_rows: &'a BTreeMap<RowId, Row>,
    reads: &'a [RowRead],
    states: &'a [CopyState],
) -> impl Iterator<Item = RowId> + 'a {
    let has_image = move |row_id: &RowId| old_rows.get(row_id).is_some_and(|row| row.file(0).is_some());
    let is_changed = move |(read, state): &(&RowRead, &CopyState)| match state {
        CopyState::New | CopyState::Replaced | CopyState::Stale => true,
        CopyState::Unlinked => has_image(&read.row_id),
        CopyState::Unchanged | CopyState::UpToDate => matches!(read.csv, CsvRead::Gone) && has_image(&read.row_id),
    };
    reads.iter().zip(states).filter(is_changed).map(|(read, _)| read.row_id.clone())
}
