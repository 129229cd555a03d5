//! The settings of every Parquet file that is written with polars.

use std::io::Write;

use polars::prelude::{CompatLevel, KeyValueMetadata, ParquetCompression, ParquetWriter, Schema, SchemaExt, StatisticsOptions};
use polars_parquet::write::schema_to_metadata_key;

/// A writer with zstd and statistics, whose files every Arrow reader can use.
///
/// A Parquet file also names the Arrow types of its columns (`ARROW:schema`). polars names its own, string views, which pyarrow cannot filter,
/// sort or join, and older readers do not know. The types named here are the oldest that hold the same values.
pub(crate) fn parquet_writer<W: Write>(file: W, schema: &Schema) -> ParquetWriter<W> {
    let arrow_schema = schema_to_metadata_key(&schema.to_arrow(CompatLevel::oldest()));
    ParquetWriter::new(file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::default())
        .with_key_value_metadata(Some(KeyValueMetadata::Static(vec![arrow_schema])))
}
