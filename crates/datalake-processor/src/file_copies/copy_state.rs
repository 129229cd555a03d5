//! How each file that was read differs from the linked one and from its copy. Changes nothing.

use std::collections::BTreeMap;

use datalake_core::{row::Row, row_id::RowId};
use datalake_store::{
    error::StoreError,
    simulation::{self, Bug},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::copies::{self, COPIES_IN_FLIGHT_MAX};
use crate::read::{CsvRead, FileRead, Reader, RowRead};

/// The state of the copy of a file, compared with the file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyState {
    /// The row keeps the file that it links, if any.
    Unchanged,
    /// The row will no longer link a file.
    Unlinked,
    /// The copy has the bytes of the file that was read, which is the linked one, possibly under another ETag.
    UpToDate,
    /// The file that was read is the linked one, and the copy is missing or has other bytes.
    Stale,
    /// The row had no file.
    New,
    /// The file that was read is not the linked one.
    Replaced,
}

/// The states of all files: rows in the order of `reads`, files in that of the declaration.
pub(crate) async fn find_all(
    reader: &Reader<'_>,
    old_rows: &BTreeMap<RowId, Row>,
    reads: &[RowRead],
) -> Result<Vec<Box<[CopyState]>>, StoreError> {
    stream::iter(reads)
        .map(|read| find_of_row(reader, old_rows, read))
        .buffered(COPIES_IN_FLIGHT_MAX)
        .try_collect()
        .await
}

async fn find_of_row(reader: &Reader<'_>, old_rows: &BTreeMap<RowId, Row>, read: &RowRead) -> Result<Box<[CopyState]>, StoreError> {
    let mut states = Vec::with_capacity(reader.dataset().files().len());
    for index in 0..reader.dataset().files().len() {
        states.push(find(reader, old_rows, read, index).await?);
    }
    Ok(states.into())
}

async fn find(reader: &Reader<'_>, old_rows: &BTreeMap<RowId, Row>, read: &RowRead, index: usize) -> Result<CopyState, StoreError> {
    let file = &reader.dataset().files()[index];
    let linked = old_rows.get(&read.row_id).and_then(|row| row.file(index));
    let (bytes, object) = match read.file(index) {
        FileRead::Same => return Ok(CopyState::Unchanged),
        FileRead::Gone => return Ok(CopyState::Unlinked),
        FileRead::Rejected { .. } => {
            // The last valid file stays linked if the copy still has its bytes: the source no longer has them.
            let Some(linked) = linked else { return Ok(CopyState::Unchanged) };
            let is_kept = file.copy_to.is_some()
                && (simulation::has(Bug::RejectedImageStaysLinked)
                    || copies::has_copy(reader.bucket(), file, &read.row_id, linked).await?);
            return Ok(if is_kept { CopyState::Unchanged } else { CopyState::Unlinked });
        }
        FileRead::Valid { .. } if !read.has_row_after(old_rows) => return Ok(CopyState::Unchanged),
        FileRead::Valid { bytes, object } => (bytes, object),
    };
    let Some(linked) = linked else { return Ok(CopyState::New) };
    let is_linked = linked.matches(&object.etag, object.size);
    if file.copy_to.is_none() {
        return Ok(if is_linked { CopyState::UpToDate } else { CopyState::Replaced });
    }
    let copy = reader.read_copy(&file.path_of(&read.row_id), bytes).await?;
    Ok(match copy {
        // If a folder was copied as a whole, its objects have lost their metadata; then only the bytes are compared.
        Some(metadata) if copies::is_of_source_or_unmarked(&metadata, &linked.etag) => CopyState::UpToDate,
        _ if is_linked => CopyState::Stale,
        _ => CopyState::Replaced,
    })
}

/// The rows whose copies a run changes, before its commit or after it.
pub(crate) fn rows_with_changes<'a>(
    old_rows: &'a BTreeMap<RowId, Row>,
    reads: &'a [RowRead],
    states: &'a [Box<[CopyState]>],
) -> impl Iterator<Item = RowId> + 'a {
    let is_file_changed = move |read: &RowRead, index: usize, state: CopyState| {
        let is_linked = || old_rows.get(&read.row_id).is_some_and(|row| row.file(index).is_some());
        match state {
            CopyState::New | CopyState::Replaced | CopyState::Stale => true,
            CopyState::Unlinked => is_linked(),
            CopyState::Unchanged | CopyState::UpToDate => matches!(read.csv, CsvRead::Gone) && is_linked(),
        }
    };
    let changed = move |(read, states): (&'a RowRead, &'a [CopyState])| {
        let mut states = states.iter().enumerate();
        let is_changed = states.any(|(index, state)| is_file_changed(read, index, *state));
        is_changed.then(|| read.row_id.clone())
    };
    reads.iter().zip(states.iter().map(AsRef::as_ref)).filter_map(changed)
}
