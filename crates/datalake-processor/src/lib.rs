//! A run of the processor: list, plan, read, apply, pictures, commit, publish, report.
//!
//! Decisions are the core's; this crate carries them out. It never writes under `src-data/`, knows no HTTP and never sees the API: the
//! two meet in the lake alone.

mod apply;
mod changes;
pub mod dry_run;
pub mod error;
mod known;
mod left;
pub mod options;
mod output;
mod pictures;
mod publish;
mod read;
pub mod run;
mod vacuum;
