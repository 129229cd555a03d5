//! Compares all image copies with all rows.

use std::{cmp::Ordering, collections::BTreeMap};

use datalake_core::{
    dataset::{Dataset, KeyPattern},
    keys,
    plan::{self, RecordedRow, SourceVersion},
    row_id::RowId,
};
use datalake_store::{bucket::ObjectMeta, error::StoreError};
use datalake_table::{delta::version::Version, table::Table};
use futures_util::{StreamExt, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};

use super::{copies, reconcile::UnlinkedCopy};
use crate::{error::RunError, recorded_rows::RecordedRows};

/// A copy that no row links may belong to a run that has not committed yet. Its intent protects it for an hour; a day leaves a wide margin.
pub(super) const UNLINKED_AGE_MIN: SignedDuration = SignedDuration::from_hours(24);

/// The IDs whose copies differ from their rows: missing, of another image, or linked by no row and old.
///
/// Copies are listed in the order of their keys, which is the key order of their IDs.
pub(crate) async fn find_differing(table: &Table, version: &Version, now: Timestamp) -> Result<BTreeMap<RowId, UnlinkedCopy>, RunError> {
    let bucket = table.bucket().as_ref();
    let mut differing = BTreeMap::new();
    let dataset = version.dataset();
    let copy_to = dataset.files().first().and_then(|file| file.copy_to.as_ref());
    let mut copies = Copies {
        objects: bucket.list(copy_to.map_or("", KeyPattern::folder), None),
        dataset,
    };
    let mut recorded = RecordedRows::new(table, dataset, Some(version), &[], now);
    let mut copy = copies.next().await?;
    let mut linked = next_with_image(&mut recorded).await?;
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
            (Ordering::Equal, Some((_, object)), Some((row_id, image))) if !copies::is_copy_of(bucket, object, image).await? => {
                differing.insert(row_id.clone(), UnlinkedCopy::Keep);
            }
            _ => {}
        }
        if order.is_le() {
            copy = copies.next().await?;
        }
        if order.is_ge() {
            linked = next_with_image(&mut recorded).await?;
        }
    }
}

struct Copies<'a> {
    objects: BoxStream<'static, Result<ObjectMeta, StoreError>>,
    dataset: &'a Dataset,
}

impl Copies<'_> {
    /// The next object that is named like a copy.
    async fn next(&mut self) -> Result<Option<(RowId, ObjectMeta)>, StoreError> {
        while let Some(object) = self.objects.next().await.transpose()? {
            if let Some(row_id) = keys::parse_image(self.dataset, &object.key) {
                return Ok(Some((row_id, object)));
            }
        }
        Ok(None)
    }
}

async fn next_with_image(recorded: &mut RecordedRows<'_>) -> Result<Option<(RowId, SourceVersion)>, RunError> {
    while let Some(RecordedRow { row_id, image, .. }) = recorded.next().await? {
        if let Some(image) = image {
            return Ok(Some((row_id, image)));
        }
    }
    Ok(None)
}
