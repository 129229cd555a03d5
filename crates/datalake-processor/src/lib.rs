//! A run of the processor: list, plan, read, copy files, apply, commit, publish, vacuum, report. Also plans a run without
//! executing it (`dry_run`), checks a lake (`doctor`) and rebuilds a damaged table (`repair`).
//!
//! `datalake-core` contains the rules; this crate performs the I/O. It never writes under `src-data/`, and it knows neither HTTP nor the API: the
//! lake is the only interface between a run and the API.

mod apply;
mod attempts;
pub mod declaration;
pub mod doctor;
pub mod dry_run;
pub mod error;
mod file_budget;
mod file_copies;
mod finish;
mod guards;
mod ingest;
mod lost_objects;
pub mod options;
mod output_csv;
mod prepare;
mod publish;
mod read;
mod read_summary;
mod recorded_rows;
mod rejects;
pub mod repair;
pub mod run;
mod run_state;
mod source_changes;
mod store_check;
mod vacuum;
