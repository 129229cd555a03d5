//! Lakes in a folder.

mod boundaries;
mod concurrent_runs;
mod damage;
mod long_pauses;
