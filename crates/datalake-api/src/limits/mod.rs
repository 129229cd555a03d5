//! Limits on concurrent use of resources: handlers, waits, store reads, CPU for scans, and memory for sorting.

pub mod requests;
pub mod scan_pool;
pub mod sort_budget;
