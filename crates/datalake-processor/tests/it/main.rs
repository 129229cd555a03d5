//! Runs over a lake in memory or in a folder: from sources to the table, `output.csv`, image copies and reports.

#![expect(
    clippy::unwrap_used,
    reason = "a test binary, whose shared functions clippy does not know for tests"
)]

mod changed_declarations;
mod concurrent_edits;
mod concurrent_runs;
mod data_file_sizes;
mod declared_edits;
mod doctor;
mod edit_sequences;
mod edits;
mod faults;
mod file_folders;
mod image_rules;
mod lake;
mod paused_runs;
mod recovery;
mod reject_codes;
mod run_rules;
mod unreadable_sources;
mod vacuum;
