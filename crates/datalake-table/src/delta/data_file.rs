//! Reading segments: which ones, and their rows in the order of the ids.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{row::Row, user::UserId};
use datalake_store::bucket::{Bucket, Object};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use crate::{
    blocking::{blocking, decode},
    delta::{
        log, parquet_rows,
        version::{DataFile, Version},
    },
    error::TableError,
    memory::columns::PackedRows,
    table::{READS_IN_FLIGHT, RecordedSources},
};

/// Segments decoded for readers at once: one takes some 40 MB for a moment, and polars has every core work on it.
static DECODING: Semaphore = Semaphore::const_new(2);

/// Runs of neighbours whose key ranges overlap; of our own segments each is alone. `segments` are in the order of a version.
pub(crate) fn clusters(segments: &[Arc<DataFile>]) -> impl Iterator<Item = &[Arc<DataFile>]> {
    let mut clusters = Vec::new();
    let (mut start, mut greatest) = (0, None::<&str>);
    for (index, segment) in segments.iter().enumerate() {
        if greatest.is_some_and(|greatest| greatest < &*segment.min_user_id) {
            clusters.extend(segments.get(start..index));
            start = index;
        }
        greatest = greatest.max(Some(&*segment.max_user_id));
    }
    clusters.extend(segments.get(start..).filter(|rest| !rest.is_empty()));
    clusters.into_iter()
}

/// A data file whole. One of another size than the log gives it is damaged, and not read beyond that size.
async fn read(bucket: &Arc<dyn Bucket>, file: &DataFile) -> Result<Object, TableError> {
    let object = log::get(bucket, &file.key(), file.size.max(1)).await?;
    if object.meta.size != file.size {
        let reason = format!("the file has {} bytes, the log gives it {}", object.meta.size, file.size);
        return Err(TableError::corrupt(file.key(), reason));
    }
    Ok(object)
}

/// Fails as a reader of the file would, if it is missing or damaged.
pub(crate) async fn check(bucket: &Arc<dyn Bucket>, file: &DataFile) -> Result<(), TableError> {
    let object = read(bucket, file).await?;
    decode(object, parquet_rows::rows).await.map(drop)
}

/// What the segments of a cluster record of the users' sources, by id.
pub(crate) async fn known(bucket: Arc<dyn Bucket>, cluster: Vec<Arc<DataFile>>) -> Result<Vec<RecordedSources>, TableError> {
    let mut batches = Vec::new();
    for segment in &cluster {
        let object = read(&bucket, segment).await?;
        batches.push(decode(object, parquet_rows::known).await?);
    }
    ordered(&cluster, batches, |row| &row.user_id)
}

/// Every row of the segments of a cluster, by id.
pub(crate) async fn rows(bucket: &Arc<dyn Bucket>, cluster: &[Arc<DataFile>]) -> Result<Vec<Row>, TableError> {
    let mut batches = Vec::new();
    for segment in cluster {
        let object = read(bucket, segment).await?;
        batches.push(decode(object, parquet_rows::rows).await?);
    }
    ordered(cluster, batches, |row| &row.user_id)
}

/// The rows of one cluster in the order of their ids. A foreign writer may have left them in any order; a user has one row.
fn ordered<T>(cluster: &[Arc<DataFile>], batches: Vec<Vec<T>>, id: impl Fn(&T) -> &UserId) -> Result<Vec<T>, TableError> {
    let mut rows: Vec<T> = batches.into_iter().flatten().collect();
    if !rows.is_sorted_by(|a, b| id(a) < id(b)) {
        rows.sort_by(|a, b| id(a).cmp(id(b)));
        if rows.windows(2).any(|pair| matches!(pair, [a, b] if id(a) == id(b))) {
            let key = cluster.first().map(|segment| segment.key()).unwrap_or_default();
            return Err(TableError::corrupt(
                key,
                "a user has two rows in this file or in those that overlap it, column=user_id",
            ));
        }
    }
    Ok(rows)
}

pub(crate) async fn rows_of(bucket: &Arc<dyn Bucket>, version: &Version, user_ids: &[UserId]) -> Result<BTreeMap<UserId, Row>, TableError> {
    let wanted = |segment: &&Arc<DataFile>| {
        let first = user_ids.partition_point(|user_id| user_id.as_str() < &*segment.min_user_id);
        user_ids.get(first).is_some_and(|user_id| segment.may_hold(user_id.as_str()))
    };
    let segments: Vec<_> = version.data_files().iter().filter(wanted).cloned().collect();
    let mut batches = stream::iter(segments)
        .map(|segment| async move {
            let rows = rows(bucket, std::slice::from_ref(&segment)).await?;
            let found = rows
                .into_iter()
                .filter(|row| user_ids.binary_search(&row.user_id).is_ok())
                .collect::<Vec<_>>();
            Ok::<_, TableError>((segment, found))
        })
        .buffered(READS_IN_FLIGHT);
    let mut found = BTreeMap::new();
    while let Some((segment, rows)) = batches.try_next().await? {
        for row in rows {
            if let Some(other) = found.insert(row.user_id.clone(), row) {
                return Err(TableError::corrupt(
                    segment.key(),
                    format!("user {} has a row in another file too, column=user_id", other.user_id),
                ));
            }
        }
    }
    Ok(found)
}

/// What a reader shows of a cluster, as one.
pub(crate) async fn shown(bucket: Arc<dyn Bucket>, cluster: Vec<Arc<DataFile>>) -> Result<PackedRows, TableError> {
    let mut parts = Vec::with_capacity(cluster.len());
    for file in &cluster {
        parts.push(columns(&bucket, file).await?);
    }
    match <[PackedRows; 1]>::try_from(parts) {
        Ok([rows]) => Ok(rows),
        Err(parts) => {
            let key = cluster.first().map(|segment| segment.key()).unwrap_or_default();
            blocking(move || PackedRows::merge(&parts, &key)).await
        }
    }
}

pub(crate) async fn columns(bucket: &Arc<dyn Bucket>, file: &DataFile) -> Result<PackedRows, TableError> {
    let object = read(bucket, file).await?;
    let _turn = DECODING.acquire().await.expect("the semaphore is never closed");
    decode(object, |key, bytes| PackedRows::from_frame(&parquet_rows::shown(key, bytes)?, key)).await
}
