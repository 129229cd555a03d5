//! Checkpoints: the state of a version in one Parquet file, so that a load does not have to read all entries.
//!
//! They are classic checkpoints in a single file, which every engine can read. The columns and their types follow the protocol document,
//! section "Checkpoint Schema". In checkpoints of other engines, unknown columns are ignored.

use std::sync::Arc;

use bytes::Bytes;
use datalake_core::{count::count, keys};
use datalake_store::{
    bucket::{Bucket, Metadata as ObjectMetadata, PutMode},
    error::StoreError,
    simulation::{self, Bug},
};
use jiff::Timestamp;
use parquet::{
    basic::Compression,
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        reader::{FileReader, SerializedFileReader},
        writer::SerializedFileWriter,
    },
    record::Row,
    schema::{parser::parse_message_type, types::TypePtr},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    blocking::blocking,
    delta::decode::decode,
    delta::{
        actions::{Action, Add, Remove},
        log::{self, CHECKPOINT_BYTES_MAX, find},
        retention::Retention,
        shred,
        version::{State, Version},
    },
    error::TableError,
};

const SCHEMA: &str = "
message checkpoint {
  optional group txn {
    optional binary appId (STRING);
    optional int64 version;
    optional int64 lastUpdated;
  }
  optional group add {
    optional binary path (STRING);
    optional group partitionValues (MAP) { repeated group key_value { required binary key (STRING); optional binary value (STRING); } }
    optional int64 size;
    optional int64 modificationTime;
    optional boolean dataChange;
    optional binary stats (STRING);
    optional group tags (MAP) { repeated group key_value { required binary key (STRING); optional binary value (STRING); } }
  }
  optional group remove {
    optional binary path (STRING);
    optional int64 deletionTimestamp;
    optional boolean dataChange;
    optional boolean extendedFileMetadata;
    optional group partitionValues (MAP) { repeated group key_value { required binary key (STRING); optional binary value (STRING); } }
    optional int64 size;
  }
  optional group metaData {
    optional binary id (STRING);
    optional binary name (STRING);
    optional binary description (STRING);
    optional group format {
      optional binary provider (STRING);
      optional group options (MAP) { repeated group key_value { required binary key (STRING); optional binary value (STRING); } }
    }
    optional binary schemaString (STRING);
    optional group partitionColumns (LIST) { repeated group list { optional binary element (STRING); } }
    optional group configuration (MAP) { repeated group key_value { required binary key (STRING); optional binary value (STRING); } }
    optional int64 createdTime;
  }
  optional group protocol {
    optional int32 minReaderVersion;
    optional int32 minWriterVersion;
  }
}";

/// Columns that are only read, so that the error for a newer protocol can name its features.
const READ_ONLY_COLUMNS: &str = "
message read_only {
  optional group add { optional group deletionVector { optional binary storageType (STRING); } }
  optional group protocol {
    optional group readerFeatures (LIST) { repeated group list { optional binary element (STRING); } }
    optional group writerFeatures (LIST) { repeated group list { optional binary element (STRING); } }
  }
}";

/// The size limit of `_last_checkpoint`. It is a small document; other engines add a schema.
const POINTER_BYTES_MAX: u64 = 1024 * 1024;

/// The document `_last_checkpoint`. Further fields of other engines are ignored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastCheckpoint {
    pub(crate) version: u64,
    /// The number of actions in the checkpoint.
    #[serde(default)]
    pub(crate) size: u64,
}

fn parse(message: &str) -> Result<TypePtr, ParquetError> {
    parse_message_type(message).map(TypePtr::new)
}

/// Writes the checkpoint of a version if its entry still exists, and updates `_last_checkpoint`.
pub(crate) async fn write(bucket: &Arc<dyn Bucket>, version: &Version) -> Result<(), TableError> {
    let number = version.number();
    let key = keys::checkpoint(number);
    // Made before the check: a writer that is paused after the check must not restore a checkpoint that was removed.
    let fenced = bucket.fenced().await?;
    if !simulation::has(Bug::CheckpointSkipsEntryCheck) && !log::still_has(bucket, version).await? {
        return Ok(());
    }
    let actions = actions(&version.0, fenced.store_time);
    let size = count(actions.len());
    let bytes = blocking({
        let key = key.clone();
        move || encode(&key, &actions)
    })
    .await?;
    match fenced.bucket.put(&key, bytes, PutMode::Create, &ObjectMetadata::new()).await {
        // Another writer wrote the checkpoint. Equal states have equal checkpoints.
        Ok(_) | Err(StoreError::Conflict { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    write_last_checkpoint(bucket, &fenced.bucket, LastCheckpoint { version: number, size }).await
}

/// Replaces `_last_checkpoint`, unless it names a later checkpoint that exists.
async fn write_last_checkpoint(bucket: &Arc<dyn Bucket>, fenced: &Arc<dyn Bucket>, pointer: LastCheckpoint) -> Result<(), TableError> {
    let mode = match bucket.head(keys::LAST_CHECKPOINT).await {
        Ok(head) => {
            if let Some(named) = read_last_checkpoint(bucket).await?
                && named >= pointer.version
                && !simulation::has(Bug::PointerGoesBack)
                && exists(bucket, &keys::checkpoint(named)).await?
            {
                return Ok(());
            }
            PutMode::Update(head.meta.etag)
        }
        Err(StoreError::NotFound { .. }) => PutMode::Create,
        Err(error) => return Err(error.into()),
    };
    let text = serde_json::to_vec(&pointer);
    let text = text.map_err(|error| TableError::undecodable(keys::LAST_CHECKPOINT, "the document cannot be encoded", error))?;
    match fenced.put(keys::LAST_CHECKPOINT, text.into(), mode, &ObjectMetadata::new()).await {
        // Another writer replaced it.
        Ok(_) | Err(StoreError::Conflict { .. } | StoreError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn exists(bucket: &Arc<dyn Bucket>, key: &str) -> Result<bool, TableError> {
    match bucket.head(key).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

pub(crate) async fn read_last_checkpoint(bucket: &Arc<dyn Bucket>) -> Result<Option<u64>, TableError> {
    // The document only saves requests, so a damaged or oversized one is ignored.
    let object = match find(bucket, keys::LAST_CHECKPOINT, POINTER_BYTES_MAX).await {
        Err(TableError::Corrupt { .. }) => None,
        object => object?,
    };
    let pointer = object.and_then(|object| serde_json::from_slice::<LastCheckpoint>(&object.bytes).ok());
    Ok(pointer.map(|pointer| pointer.version))
}

/// Whether a checkpoint exists and can be decoded.
pub(crate) async fn is_intact(bucket: &Arc<dyn Bucket>, version: u64) -> Result<bool, TableError> {
    let Some(object) = find(bucket, &keys::checkpoint(version), CHECKPOINT_BYTES_MAX).await? else {
        return Ok(false);
    };
    match decode(object, decode_actions).await {
        Ok(_) => Ok(true),
        Err(TableError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The actions of a state. Tombstones past the retention are omitted, as the protocol allows.
fn actions(state: &State, now: Timestamp) -> Vec<Action> {
    let oldest_ms = now.as_millisecond() - Retention::of(&state.metadata).deleted_files.as_secs() * 1_000;
    let kept = |remove: &&Remove| remove.deletion_timestamp.unwrap_or(0) > oldest_ms;
    let head = Action {
        protocol: Some(state.protocol.clone()),
        ..Action::default()
    };
    let metadata = Action {
        meta_data: Some(state.metadata.clone()),
        ..Action::default()
    };
    let transactions = state.transactions.values().map(|transaction| Action {
        txn: Some(transaction.clone()),
        ..Action::default()
    });
    // A checkpoint describes a state, so none of its actions is a data change.
    let removes = state.tombstones.values().filter(kept);
    let removes = removes.map(|remove| Action {
        remove: Some(Remove {
            data_change: false,
            ..remove.clone()
        }),
        ..Action::default()
    });
    let adds = state.data_files.iter().map(|file| Action {
        add: Some(Add {
            data_change: false,
            ..(*file.add).clone()
        }),
        ..Action::default()
    });
    [head, metadata]
        .into_iter()
        .chain(transactions)
        .chain(removes)
        .chain(adds)
        .collect()
}

fn encode(key: &str, actions: &[Action]) -> Result<Bytes, TableError> {
    let records = actions.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    let records = records.map_err(|error| TableError::undecodable(key, "an action cannot be encoded", error))?;
    let encoded = simulation::memoize("checkpoint::encode", &records, || encode_records(&records));
    encoded.map_err(|error| TableError::undecodable(key, "the checkpoint cannot be encoded", error))
}

fn encode_records(records: &[Value]) -> Result<Bytes, ParquetError> {
    let schema = parse(SCHEMA)?;
    let leaves = shred::shred(&schema, records)?;
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties)?;
    let mut group = writer.next_row_group()?;
    for leaf in &leaves {
        let mut column = group
            .next_column()?
            .ok_or_else(|| ParquetError::General("fewer columns than leaves".to_owned()))?;
        leaf.write(column.untyped())?;
        column.close()?;
    }
    group.close()?;
    writer.into_inner().map(Bytes::from)
}

/// Decodes the actions of a checkpoint of any engine.
#[expect(
    clippy::needless_pass_by_value,
    reason = "decoders take the bytes; only simulations use them again"
)]
pub(crate) fn decode_actions(key: &str, bytes: Bytes) -> Result<Vec<Action>, TableError> {
    let records = simulation::memoize("checkpoint::decode", &bytes, || decode_records(bytes.clone()))
        .map_err(|error| TableError::undecodable(key, "the checkpoint cannot be read", error))?;
    let action = |record| Action::deserialize(Value::from(record));
    let actions = records.into_iter().map(action).collect::<Result<Vec<_>, _>>();
    actions.map_err(|error| TableError::undecodable(key, "an action of the checkpoint cannot be read", error))
}

fn decode_records(bytes: Bytes) -> Result<Vec<Map<String, Value>>, ParquetError> {
    let reader = SerializedFileReader::new(bytes)?;
    let present = reader.metadata().file_metadata().schema();
    let mut records = rows(&reader, shred::projection(present, &*parse(SCHEMA)?)?)?;
    let read_only = shred::projection(present, &*parse(READ_ONLY_COLUMNS)?)?;
    if !read_only.get_fields().is_empty() {
        for (record, more) in records.iter_mut().zip(rows(&reader, read_only)?) {
            for (kind, fields) in more {
                if let (Some(Value::Object(known)), Value::Object(fields)) = (record.get_mut(&kind), fields) {
                    known.extend(fields);
                }
            }
        }
    }
    Ok(records)
}

fn rows(reader: &SerializedFileReader<Bytes>, projection: TypePtr) -> Result<Vec<Map<String, Value>>, ParquetError> {
    let projection = TypePtr::unwrap_or_clone(projection);
    let record = |row: Result<Row, ParquetError>| {
        let fields = row?.into_columns().into_iter().map(|(name, field)| (name, shred::to_json(&field)));
        Ok(fields.filter(|(_, value)| !value.is_null()).collect())
    };
    reader.get_row_iter(Some(projection))?.map(record).collect()
}
