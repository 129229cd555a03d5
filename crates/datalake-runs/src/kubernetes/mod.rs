//! Runs as Kubernetes Jobs, created from the live CronJob's template. Only files in this folder name kube.

mod client;
mod job;
mod job_cache;
mod join;
pub mod launcher;
mod observer;
mod pod;
mod schedule;
mod status;
