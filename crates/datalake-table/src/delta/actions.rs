//! The actions of the Delta log that this program reads and writes: one JSON object a line of an entry, one row of a checkpoint.
//!
//! Fields are those of the protocol document, `delta-io/delta`: `PROTOCOL.md`, section "Actions". Others are ignored when read.
//! An entry's line and a checkpoint's row have the same shape here, so that there is one set of types.

use std::collections::BTreeMap;

use datalake_core::report::{Counts, RunId, RunMode};
use serde::{Deserialize, Serialize};

/// A map of texts. A value may be null, and the whole map in a foreign checkpoint too.
pub(crate) type TextMap = BTreeMap<String, Option<String>>;

/// One line of an entry or one row of a checkpoint: exactly one field is there, or none where the action is of a kind not known here
/// (`domainMetadata`, `cdc`, …), which the protocol lets a reader of version 1 ignore.
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

/// Which versions of the protocol a reader and a writer must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    pub(crate) min_reader_version: i32,
    pub(crate) min_writer_version: i32,
    /// Only from reader version 3 on: read for the error message alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reader_features: Option<Vec<String>>,
    /// Only from writer version 7 on: read for the error message alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) writer_features: Option<Vec<String>>,
}

/// What the table is: its columns and its configuration.
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

/// The format of the data files: always Parquet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    pub(crate) provider: String,
    #[serde(default)]
    pub(crate) options: Option<TextMap>,
}

/// How far another engine's stream is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transaction {
    pub(crate) app_id: String,
    pub(crate) version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_updated: Option<i64>,
}

/// A data file joins the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) partition_values: Option<TextMap>,
    pub(crate) size: i64,
    pub(crate) modification_time: i64,
    pub(crate) data_change: bool,
    /// [`Stats`] as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stats: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<TextMap>,
    /// Rows of the file are deleted beside it: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_vector: Option<serde_json::Value>,
}

/// A data file leaves the table; the file itself stays for the retention.
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

/// What a file holds, as the `stats` of an [`Add`] say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Stats {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) num_records: Option<u64>,
    pub(crate) min_values: Bounds,
    pub(crate) max_values: Bounds,
    pub(crate) null_count: BTreeMap<String, serde_json::Value>,
}

/// Bounds of the columns that queries are narrowed by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Bounds {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) birthts: Option<i64>,
}

/// What an entry of ours says of itself. The protocol leaves it free, so a foreign one is read as plain JSON, see [`OwnInfo::of`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CommitInfo {
    pub(crate) timestamp: i64,
    pub(crate) operation: &'static str,
    pub(crate) operation_parameters: TextMap,
    /// Numbers as texts, as Spark writes them.
    pub(crate) operation_metrics: TextMap,
    pub(crate) engine_info: &'static str,
    pub(crate) datalake: OwnInfo,
}

/// What only this program says in its entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnInfo {
    pub(crate) run_id: RunId,
    pub(crate) mode: RunMode,
    pub(crate) counts: Counts,
    /// Path of the refusals' file relative to the table; none where nothing is refused. For people: what counts is the metadata's.
    pub(crate) refusals: Option<String>,
    /// Unique to each commit, so that two commits of the same rows are two entries.
    pub(crate) writer_id: String,
    /// SHA-256 of the entry that this one follows, in hexadecimal digits; none for the first version, and in entries of format 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<String>,
}

impl OwnInfo {
    /// What an entry says if it is one of ours.
    pub(crate) fn of(commit_info: &serde_json::Value) -> Option<Self> {
        Self::deserialize(commit_info.get("datalake")?).ok()
    }
}
