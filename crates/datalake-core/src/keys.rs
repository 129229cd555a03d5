//! Every key of the lake, in both directions: the only module that formats or parses a key.
//!
//! Owns the names of sources (`keys/source.rs`), suggestions for names that resemble them (`keys/near_miss.rs`), the keys of the table
//! (`keys/table.rs`) and those of published objects (here). It must never decide what an object contains.

mod near_miss;
mod source;
mod table;

pub(crate) use self::{
    near_miss::near_miss,
    source::{patterns, row_end, row_start},
};
pub use self::{
    near_miss::{NameDifference, NearMiss, near_miss_of, row_of},
    source::{
        ExtensionCase, SourceKey, common_folder, csv_sources, file_sources, folder_of, is_above_sources, is_folder_marker, name_templates,
        parse_source, source, source_folders,
    },
    table::{
        IMAGE_INTENTS, INGEST, LAST_CHECKPOINT, LAST_VACUUM, LOG, LogKey, TABLE, checkpoint, checksum_of, create_proof, data_file_path,
        image_intent, is_create_proof, is_foreign_checkpoint, is_rejects_file, log_entry, parse_data_file, parse_log, rejects_file,
        store_check, table_file,
    },
};
use crate::{dataset::FileColumn, row_id::RowId, run::RunId};

/// The folder of the sources of the users. Only `init` and `demo` write to it.
pub const SOURCES: &str = "src-data/";
/// The folder of everything that runs write.
pub const PUBLISHED: &str = "processed_data/";
/// The folder of the private files of a lake in a folder, which are no objects.
pub const PRIVATE: &str = ".datalake";
/// All rows as CSV, sorted by ID; each version replaces it as a whole.
pub const OUTPUT: &str = "processed_data/output.csv";
/// The folder of the reports of runs.
pub const RUNS: &str = "processed_data/runs/";

/// Whether an object can be a source: runs publish none, and there is none in the root of the lake. Its owner may write it at any time.
pub fn may_be_source(key: &str) -> bool {
    key.contains('/') && !key.starts_with(PUBLISHED)
}

/// The declaration of the dataset, which its owner writes.
pub const DECLARATION: &str = "dataset.toml";

/// The prefix of the objects that `doctor` writes, reads and removes to check the store.
pub const PROBES: &str = "processed_data/doctor-";

/// An object of one check of the store. `unique` is a UUID: several checks may run at the same time.
pub fn probe(unique: &str, name: &str) -> String {
    format!("{PROBES}{unique}-{name}")
}

/// The row of a copy of this file; none if the key is not that of a copy.
pub fn parse_copy(file: &FileColumn, key: &str) -> Option<RowId> {
    let found = file.copy_to.as_ref()?.match_key(key).ok()?;
    RowId::of(&found.values).ok().filter(|_| !found.has_upper_extension)
}

/// The report of a run.
pub fn run_report(run_id: &RunId) -> String {
    format!("{RUNS}{run_id}.json")
}

/// The run of a report; none if the key is not that of a report.
pub fn parse_run_report(key: &str) -> Option<RunId> {
    RunId::parse(key.strip_prefix(RUNS)?.strip_suffix(".json")?).ok()
}

/// How far an active run is, if no server reads its log.
pub fn run_progress(run_id: &RunId) -> String {
    format!("{RUNS}{run_id}.progress")
}

/// The run of an object with progress; none if the key is not that of one.
pub fn parse_run_progress(key: &str) -> Option<RunId> {
    RunId::parse(key.strip_prefix(RUNS)?.strip_suffix(".progress")?).ok()
}

#[cfg(test)]
mod tests;
