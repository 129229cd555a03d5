//! The actions of the Delta log that this program reads and writes. An action is a line of an entry, as JSON, and a row of a checkpoint.
//!
//! The fields follow the protocol document, `delta-io/delta`: `PROTOCOL.md`, section "Actions". Other fields are ignored. Lines of entries
//! and rows of checkpoints use the same types.

use std::collections::BTreeMap;

use datalake_core::run::{Counts, RunId, RunMode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map of strings. Values may be null; in checkpoints of other engines, the whole map may be null.
pub(crate) type TextMap = BTreeMap<String, Option<String>>;

/// One action. Exactly one field is set, or none for a kind of action that is not known here (`domainMetadata`, `cdc`, …), which a reader
/// of version 1 may ignore.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Action {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit_info: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) meta_data: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) txn: Option<Transaction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remove: Option<Remove>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) add: Option<Add>,
}

/// The versions of the protocol that readers and writers must support.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i32,
    pub(crate) min_writer_version: i32,
    /// Only from reader version 3 on. Used only in the error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reader_features: Option<Vec<String>>,
    /// Only from writer version 7 on. Used only in the error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) writer_features: Option<Vec<String>>,
}

/// The table's columns and configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) format: Format,
    pub(crate) schema_string: String,
    #[serde(default)]
    pub(crate) partition_columns: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) configuration: Option<TextMap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) created_time: Option<i64>,
}

/// The format of the data files, which is always Parquet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    pub(crate) provider: String,
    #[serde(default)]
    pub(crate) options: Option<TextMap>,
}

/// The progress of another engine's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transaction {
    pub(crate) app_id: String,
    pub(crate) version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_updated: Option<i64>,
}

/// Adds a data file to the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) partition_values: Option<TextMap>,
    pub(crate) size: i64,
    pub(crate) modification_time: i64,
    pub(crate) data_change: bool,
    /// [`Stats`] as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stats: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<TextMap>,
    /// The file has deleted rows. Not supported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_vector: Option<serde_json::Value>,
}

/// Removes a data file from the table. The file itself is kept for the retention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    pub(crate) path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_timestamp: Option<i64>,
    pub(crate) data_change: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) extended_file_metadata: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) partition_values: Option<TextMap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<i64>,
}

/// The statistics of a data file, in `stats` of an [`Add`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Stats {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) num_records: Option<u64>,
    pub(crate) min_values: Bounds,
    pub(crate) max_values: Bounds,
    pub(crate) null_count: BTreeMap<String, serde_json::Value>,
}

/// Bounds of the columns that are used for data skipping, by name, in the order of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds(pub(crate) Vec<(String, serde_json::Value)>);

impl Bounds {
    /// The bound of a column of strings.
    pub(crate) fn text(&self, column: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == column)?.1.as_str()
    }
}

impl Serialize for Bounds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Bounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bounds = serde_json::Map::deserialize(deserializer)?;
        Ok(Self(bounds.into_iter().collect()))
    }
}

/// The `commitInfo` of this product. The protocol does not define its fields, so those of other engines are read as JSON: see
/// [`OwnInfo::of`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitInfo {
    pub(crate) timestamp: i64,
    pub(crate) operation: &'static str,
    pub(crate) operation_parameters: TextMap,
    /// Numbers as strings, as in Spark.
    pub(crate) operation_metrics: TextMap,
    pub(crate) engine_info: &'static str,
    pub(crate) datalake: OwnInfo,
}

/// The part of `commitInfo` that only this product writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnInfo {
    pub(crate) run_id: RunId,
    pub(crate) mode: RunMode,
    pub(crate) counts: Counts,
    /// The path of the rejects file relative to the table's root. None if there are no rejects. For operators only: readers use the path in
    /// the metadata.
    pub(crate) rejects: Option<String>,
    /// Unique for each commit, so that the entries of two commits of equal rows differ.
    pub(crate) writer_id: String,
    /// The SHA-256 of the entry before, in hexadecimal digits. None for the first version, and in entries of format 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<String>,
}

impl OwnInfo {
    /// Parses the part of this product. None for entries of other engines.
    pub(crate) fn of(commit_info: &serde_json::Value) -> Option<Self> {
        Self::deserialize(commit_info.get("datalake")?).ok()
    }
}
