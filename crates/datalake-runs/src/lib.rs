//! Starts and observes runs, as child processes or as Kubernetes Jobs.
//!
//! The crate owns everything between the API and the processor: the launchers, idempotency keys, the states of runs and the cache of their
//! reports. It is the only crate that names kube. It must never link the processor, write to the lake or choose an HTTP status. What a run read
//! and changed is in its report: a launcher knows only whether the run is active and how it ended.

pub mod disabled;
mod failure_message;
pub mod idempotency;
pub mod kubernetes;
pub mod launcher;
mod launcher_cache;
pub mod process;
mod progress_cache;
mod report_cache;
pub mod run;
pub mod runs;
mod shared_read;
pub mod trace_context;
