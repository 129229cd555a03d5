//! Reads data files as packed rows.

use std::sync::Arc;

use datalake_store::bucket::Bucket;
use tokio::sync::Semaphore;

use crate::{
    blocking::blocking,
    delta::decode::decode,
    delta::{data_file::DataFile, data_file_reader, parquet_rows, schema::TableSchema},
    error::TableError,
    memory::packed_rows::PackedRows,
};

/// The number of data files that are decoded at once: each takes some 40 MB for a moment, and polars uses every core.
const DECODES_IN_FLIGHT: usize = 2;

/// Reads data files as packed rows, a bounded number at a time. Clones share the bound.
#[derive(Clone, Debug)]
pub(crate) struct RowLoader {
    bucket: Arc<dyn Bucket>,
    decode_permits: Arc<Semaphore>,
}

impl RowLoader {
    pub(crate) fn new(bucket: Arc<dyn Bucket>) -> Self {
        Self {
            bucket,
            decode_permits: Arc::new(Semaphore::new(DECODES_IN_FLIGHT)),
        }
    }

    /// The rows of one data file.
    async fn load_file(&self, schema: &Arc<TableSchema>, file: &DataFile) -> Result<PackedRows, TableError> {
        let object = data_file_reader::read(&self.bucket, file).await?;
        let _permit = self.decode_permits.acquire().await.expect("the semaphore is never closed");
        let schema = Arc::clone(schema);
        decode(object, move |key, bytes| {
            PackedRows::from_frame(&schema, &parquet_rows::display_columns(&schema, key, bytes)?, key)
        })
        .await
    }

    /// The rows of a cluster of overlapping data files, merged by ID.
    pub(crate) async fn load_cluster(&self, schema: &Arc<TableSchema>, cluster: &[Arc<DataFile>]) -> Result<PackedRows, TableError> {
        let mut parts = Vec::with_capacity(cluster.len());
        for file in cluster {
            parts.push(self.load_file(schema, file).await?);
        }
        match <[PackedRows; 1]>::try_from(parts) {
            Ok([rows]) => Ok(rows),
            Err(parts) => {
                let key = cluster.first().map(|file| file.key()).unwrap_or_default();
                blocking(move || PackedRows::merge(&parts, &key)).await
            }
        }
    }
}
