//! A run of the processor: list, plan, read, apply, images, commit, publish, report.
//!
//! Decisions are the core's; this crate carries them out. It never writes under `src-data/`, knows no HTTP and never sees the API: the
//! two meet in the lake alone.

mod apply;
mod changes;
pub mod dry_run;
pub mod error;
mod fence;
mod healing;
mod image_budget;
mod image_notes;
mod images;
mod known;
pub mod options;
mod output;
mod publish;
mod read;
pub mod repair;
pub mod run;
mod settle;
mod store_check;
mod unique;
mod vacuum;
