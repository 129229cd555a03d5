//! The settings of all Parquet files that polars writes.

use std::io::Write;

use polars::prelude::{CompatLevel, KeyValueMetadata, ParquetCompression, ParquetWriter, Schema, SchemaExt, StatisticsOptions};
use polars_parquet::write::schema_to_metadata_key;

/// A writer with zstd and statistics, whose files all Arrow readers support.
///
/// A Parquet file also contains the Arrow types of its columns (`ARROW:schema`). polars would write its own type for strings, string views,
/// which pyarrow cannot filter, sort or join, and which older readers do not know. This writer uses the oldest types for the same values.
pub(crate) fn parquet_writer<W: Write>(file: W, schema: &Schema) -> ParquetWriter<W> {
    let arrow_schema = schema_to_metadata_key(&schema.to_arrow(CompatLevel::oldest()));
    ParquetWriter::new(file)
        .with_compression(ParquetCompression::Zstd(None))
        .with_statistics(StatisticsOptions::default())
        .with_key_value_metadata(Some(KeyValueMetadata::Static(vec![arrow_schema])))
}
