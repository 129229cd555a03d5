//! Reads the rows of data files, in the order of the IDs.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{row::Row, row_id::RowId};
use datalake_store::bucket::{Bucket, Object};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    delta::decode::decode,
    delta::{data_file::DataFile, log, parquet_rows, recorded_sources::RecordedSources, schema::TableSchema, version::Version},
    error::TableError,
    settings::READS_IN_FLIGHT,
};

/// Reads a data file. A file with another size than the log records is damaged, and is not read beyond that size.
pub(crate) async fn read(bucket: &Arc<dyn Bucket>, file: &DataFile) -> Result<Object, TableError> {
    let object = log::get(bucket, &file.key(), file.size.max(1)).await?;
    if object.meta.size != file.size {
        let reason = format!("the file has {} bytes, but {} according to the log", object.meta.size, file.size);
        return Err(TableError::corrupt(file.key(), reason));
    }
    Ok(object)
}

/// Reads a file completely. Returns the error that its readers get if it is missing or damaged.
pub(crate) async fn check(bucket: &Arc<dyn Bucket>, schema: &Arc<TableSchema>, file: &DataFile) -> Result<(), TableError> {
    let object = read(bucket, file).await?;
    decode_rows(schema, object).await.map(drop)
}

/// The recorded sources in a cluster, by ID.
pub(crate) async fn recorded_sources(
    bucket: Arc<dyn Bucket>,
    schema: Arc<TableSchema>,
    cluster: Vec<Arc<DataFile>>,
) -> Result<Vec<RecordedSources>, TableError> {
    let mut batches = Vec::new();
    for file in &cluster {
        let object = read(&bucket, file).await?;
        let schema = Arc::clone(&schema);
        batches.push(decode(object, move |key, bytes| parquet_rows::recorded_sources(&schema, key, bytes)).await?);
    }
    ordered(&schema, &cluster, batches, |row| &row.row_id)
}

/// All rows of a cluster, by ID.
pub(crate) async fn rows(bucket: &Arc<dyn Bucket>, schema: &Arc<TableSchema>, cluster: &[Arc<DataFile>]) -> Result<Vec<Row>, TableError> {
    let mut batches = Vec::new();
    for file in cluster {
        let object = read(bucket, file).await?;
        batches.push(decode_rows(schema, object).await?);
    }
    ordered(schema, cluster, batches, |row| &row.row_id)
}

async fn decode_rows(schema: &Arc<TableSchema>, object: Object) -> Result<Vec<Row>, TableError> {
    let schema = Arc::clone(schema);
    decode(object, move |key, bytes| parquet_rows::rows(&schema, key, bytes)).await
}

/// The rows of one cluster by ID. Other engines may write rows in any order. Two rows of one ID are an error.
fn ordered<T>(
    schema: &TableSchema,
    cluster: &[Arc<DataFile>],
    batches: Vec<Vec<T>>,
    id: impl Fn(&T) -> &RowId,
) -> Result<Vec<T>, TableError> {
    let mut rows: Vec<T> = batches.into_iter().flatten().collect();
    if !rows.is_sorted_by(|a, b| id(a) < id(b)) {
        rows.sort_by(|a, b| id(a).cmp(id(b)));
        if rows.windows(2).any(|pair| matches!(pair, [a, b] if id(a) == id(b))) {
            let key = cluster.first().map(|file| file.key()).unwrap_or_default();
            return Err(TableError::corrupt(
                key,
                format!(
                    "{} contains a value twice, in this file or in overlapping files",
                    schema.id_in_sentence()
                ),
            ));
        }
    }
    Ok(rows)
}

pub(crate) async fn rows_of(bucket: &Arc<dyn Bucket>, version: &Version, row_ids: &[RowId]) -> Result<BTreeMap<RowId, Row>, TableError> {
    let wanted = |file: &&Arc<DataFile>| {
        let first = row_ids.partition_point(|row_id| row_id.as_str() < &*file.min_id);
        row_ids.get(first).is_some_and(|row_id| file.may_contain(row_id.as_str()))
    };
    let data_files: Vec<_> = version.data_files().iter().filter(wanted).cloned().collect();
    let mut batches = stream::iter(data_files)
        .map(|file| async move {
            let rows = rows(bucket, &version.0.schema, std::slice::from_ref(&file)).await?;
            let found = rows
                .into_iter()
                .filter(|row| row_ids.binary_search(&row.row_id).is_ok())
                .collect::<Vec<_>>();
            Ok::<_, TableError>((file, found))
        })
        .buffered(READS_IN_FLIGHT);
    let mut found = BTreeMap::new();
    while let Some((file, rows)) = batches.try_next().await? {
        for row in rows {
            if let Some(other) = found.insert(row.row_id.clone(), row) {
                return Err(TableError::corrupt(
                    file.key(),
                    format!(
                        "{} contains {}, which also has a row in another file",
                        version.0.schema.id_in_sentence(),
                        other.row_id
                    ),
                ));
            }
        }
    }
    Ok(found)
}
