//! Compares all copies with all rows.

use std::{cmp::Ordering, collections::BTreeMap};

use datalake_core::{
    dataset::FileColumn,
    keys,
    plan::{self, SourceVersion},
    row_id::RowId,
};
use datalake_store::{bucket::ObjectMeta, error::StoreError};
use datalake_table::{delta::version::Version, table::Table};
use futures_util::{StreamExt, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};

use super::{
    copies,
    reconcile::{CopyId, UnlinkedCopy},
};
use crate::{error::RunError, recorded_rows::RecordedRows};

/// A copy that no row links may belong to a run that has not committed yet. Its intent protects it for an hour; a day leaves a wide margin.
pub(super) const UNLINKED_AGE_MIN: SignedDuration = SignedDuration::from_hours(24);

/// The copies that differ from their rows: missing, of another file, or linked by no row and old.
pub(crate) async fn find_differing(table: &Table, version: &Version, now: Timestamp) -> Result<BTreeMap<CopyId, UnlinkedCopy>, RunError> {
    let mut differing = BTreeMap::new();
    for (file, declared) in version.dataset().copied_files() {
        for (row_id, unlinked) in find_differing_of(table, version, file, declared, now).await? {
            differing.insert(CopyId { row_id, file }, unlinked);
        }
    }
    Ok(differing)
}

/// The differing copies of one file, which is the file of index `file`.
///
/// Copies are listed in the order of their keys, which is usually the key order of the sources of their IDs. In another order a copy can be found to
/// differ that does not: the reconciliation checks it again.
async fn find_differing_of(
    table: &Table,
    version: &Version,
    file: usize,
    declared: &FileColumn,
    now: Timestamp,
) -> Result<BTreeMap<RowId, UnlinkedCopy>, RunError> {
    let bucket = table.bucket().as_ref();
    let mut differing = BTreeMap::new();
    let dataset = version.dataset();
    let Some(copy_to) = &declared.copy_to else {
        return Ok(differing);
    };
    let mut copies = Copies {
        objects: bucket.list(copy_to.folder(), None),
        file: declared,
    };
    let mut recorded = RecordedRows::new(table, dataset, Some(version), &[], now);
    let mut copy = copies.next().await?;
    let mut linked = next_with_file(&mut recorded, file).await?;
    loop {
        let order = match (&copy, &linked) {
            (Some((copied, _)), Some((row_id, _))) => plan::compare_key_order(dataset, copied, row_id),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(differing),
        };
        match (order, &copy, &linked) {
            (Ordering::Less, Some((row_id, object)), _) if now.duration_since(object.modified) >= UNLINKED_AGE_MIN => {
                differing.insert(row_id.clone(), UnlinkedCopy::Remove);
            }
            (Ordering::Greater, _, Some((row_id, _))) => drop(differing.insert(row_id.clone(), UnlinkedCopy::Keep)),
            (Ordering::Equal, Some((_, object)), Some((row_id, source))) if !copies::is_copy_of(bucket, object, source).await? => {
                differing.insert(row_id.clone(), UnlinkedCopy::Keep);
            }
            _ => {}
        }
        if order.is_le() {
            copy = copies.next().await?;
        }
        if order.is_ge() {
            linked = next_with_file(&mut recorded, file).await?;
        }
    }
}

struct Copies<'a> {
    objects: BoxStream<'static, Result<ObjectMeta, StoreError>>,
    file: &'a FileColumn,
}

impl Copies<'_> {
    /// The next object that is named like a copy.
    async fn next(&mut self) -> Result<Option<(RowId, ObjectMeta)>, StoreError> {
        while let Some(object) = self.objects.next().await.transpose()? {
            if let Some(row_id) = keys::parse_copy(self.file, &object.key) {
                return Ok(Some((row_id, object)));
            }
        }
        Ok(None)
    }
}

async fn next_with_file(recorded: &mut RecordedRows<'_>, file: usize) -> Result<Option<(RowId, SourceVersion)>, RunError> {
    while let Some(row) = recorded.next().await? {
        let mut files = row.files.into_iter().skip(file);
        if let Some(version) = files.next().and_then(|found| found.version) {
            return Ok(Some((row.row_id, version)));
        }
    }
    Ok(None)
}
