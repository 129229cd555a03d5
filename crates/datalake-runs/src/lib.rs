//! Starting and observing runs: as child processes or as Kubernetes Jobs, with idempotency keys, and as their reports describe them.
//!
//! It owns everything between the API and the processor, and is the only crate that names kube. It never links the processor, never writes to
//! the lake and chooses no HTTP status. What a run found and did is in its report; launchers know only that it runs and how it ended.

pub mod disabled;
mod failure_message;
pub mod idempotency;
pub mod kubernetes;
pub mod launcher;
pub mod process;
pub mod run;
mod run_cache;
pub mod runs;
mod shared_read;
pub mod trace_context;
