//! Runs as Kubernetes Jobs, created from the CronJob's template.

mod job;
mod job_cache;
mod join;
pub mod launcher;
mod refresh;
mod schedule;
mod status;
