//! Limits of what requests may use at the same time: handlers, waits, reads of the store, processors for scans, memory for sorting.

pub mod requests;
pub mod scan_pool;
pub mod sort_budget;
