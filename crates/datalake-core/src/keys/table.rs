//! The keys of the Delta table, its log and its ingest state.

use crate::run::RunId;

/// The root of the Delta table.
pub const TABLE: &str = "processed_data/users/";
/// The table's transaction log.
pub const LOG: &str = "processed_data/users/_delta_log/";
/// The ingest state next to the table; Delta readers skip folders whose name starts with `_`.
pub const INGEST: &str = "processed_data/users/_ingest/";
/// Names the newest checkpoint of the table.
pub const LAST_CHECKPOINT: &str = "processed_data/users/_delta_log/_last_checkpoint";
/// Written by each vacuum; its age decides when the next vacuum is scheduled.
pub const LAST_VACUUM: &str = "processed_data/users/_ingest/last_vacuum.json";

/// The log entry that commits a version of the table.
pub fn log_entry(version: u64) -> String {
    format!("{LOG}{version:020}.json")
}

/// A checkpoint of the table: the state at a version in one Parquet file.
pub fn checkpoint(version: u64) -> String {
    format!("{LOG}{version:020}.checkpoint.parquet")
}

/// An object of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKey {
    /// The entry that commits a version.
    Entry(u64),
    /// A checkpoint of a version.
    Checkpoint(u64),
}

/// Parses the key of an entry or a checkpoint; none for every other object of the log.
pub fn parse_log(key: &str) -> Option<LogKey> {
    let name = key.strip_prefix(LOG)?;
    let version = |digits: &str| (digits.len() == 20).then(|| digits.parse().ok()).flatten();
    match name.split_once('.')? {
        (digits, "json") => version(digits).map(LogKey::Entry),
        (digits, "checkpoint.parquet") => version(digits).map(LogKey::Checkpoint),
        _ => None,
    }
}

/// Whether the key is that of a multi-part or V2 checkpoint, which only other engines write.
pub fn is_foreign_checkpoint(key: &str) -> bool {
    key.strip_prefix(LOG).is_some_and(|name| name.contains(".checkpoint.")) && parse_log(key).is_none()
}

/// A new data file of the table: its path relative to the table's root, as the log names it. `unique` is a UUID; `checksum` is the CRC-32 of the
/// file's bytes.
pub fn data_file_path(unique: &str, checksum: u32) -> String {
    format!("part-{unique}-c{checksum:08x}.parquet")
}

/// The CRC-32 in the name of a Parquet file that this product wrote; none for other files, such as those of other engines.
pub fn checksum_of(key: &str) -> Option<u32> {
    let (_, digits) = key.strip_suffix(".parquet")?.rsplit_once("-c")?;
    (digits.len() == 8).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// The key of a file that the log names by a path relative to the table's root.
pub fn table_file(path: &str) -> String {
    format!("{TABLE}{path}")
}

/// The path of a data file relative to the table's root; none for keys outside the table and for its log and ingest state.
pub fn parse_data_file(key: &str) -> Option<&str> {
    let path = key.strip_prefix(TABLE)?;
    let hidden = path.split('/').any(|part| part.starts_with(['_', '.']));
    (!hidden && path.ends_with(".parquet")).then_some(path)
}

/// A new file of rejected and ignored sources. `unique` is a UUID; `checksum` is the CRC-32 of the file's bytes.
pub fn rejects_file(unique: &str, checksum: u32) -> String {
    format!("{INGEST}rejects-{unique}-c{checksum:08x}.parquet")
}

/// An object that a run creates twice, to check that the store rejects the second create. `unique` is a UUID: processes may share a run ID.
pub fn create_proof(unique: &str) -> String {
    format!("{INGEST}create-proof-{unique}.json")
}

/// Exists if the store of this identity has passed the check for create-if-absent. `identity` is in hexadecimal digits.
pub fn store_check(identity: &str) -> String {
    format!("{INGEST}store-{identity}.json")
}

/// The prefix of the keys under which runs record which image copies they change.
pub const IMAGE_INTENTS: &str = "processed_data/users/_ingest/images-";

/// The rows whose image copies a run changes, recorded until the copies are reconciled. `unique` is a UUID: processes may share a run ID.
pub fn image_intent(run_id: &RunId, unique: &str) -> String {
    format!("{IMAGE_INTENTS}{run_id}.{unique}.json")
}

/// Whether the key is that of an object of the check for create-if-absent.
pub fn is_create_proof(key: &str) -> bool {
    key.strip_prefix(INGEST).is_some_and(|name| name.starts_with("create-proof-"))
}

/// Whether the key is that of a file of rejected and ignored sources.
pub fn is_rejects_file(key: &str) -> bool {
    key.strip_prefix(INGEST)
        .is_some_and(|name| name.starts_with("rejects-") && name.ends_with(".parquet"))
}

#[cfg(test)]
mod tests;
