//! The runs of the CronJob's Jobs, kept current by a watch of the Jobs and by reads of their pods.
//!
//! Readers share the requests to Kubernetes: for any number of readers, pods are listed at most once per second.

use std::{sync::Arc, time::Duration};

use datalake_core::{clock::Clock, error_chain::error_chain, run::RunId};
use futures_util::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::api::DynamicObject;
use parking_lot::Mutex;
use tokio::{
    sync::{self, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{client::ClusterClient, job_cache::JobCache, status};
use crate::run::{Run, RunParameters};

/// Readers cause at most one request of a kind in this time, so what pods show is at most this old.
const READ_PERIOD: Duration = Duration::from_secs(1);

/// The runs of the CronJob's Jobs.
pub(super) struct RunObserver {
    client: Arc<ClusterClient>,
    clock: Clock,
    cache: Mutex<JobCache>,
    /// Locked while pods are listed, so that concurrent readers share the response.
    runs: sync::Mutex<CachedRuns>,
    /// When Jobs were last listed for a reader. Locked while they are listed.
    listed_at: sync::Mutex<Option<Instant>>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct CachedRuns {
    read_at: Option<Instant>,
    /// The [`JobCache::revision`] of the runs.
    revision: u64,
    runs: Arc<[Run]>,
}

impl RunObserver {
    /// Knows no runs yet. Notifies `changes` of each change of a Job.
    pub(super) fn new(client: Arc<ClusterClient>, clock: Clock, changes: watch::Sender<()>) -> Self {
        Self {
            client,
            clock,
            cache: Mutex::default(),
            runs: sync::Mutex::default(),
            listed_at: sync::Mutex::default(),
            changes,
        }
    }

    /// Watches the Jobs until `shutdown`.
    pub(super) async fn watch_jobs(&self, shutdown: CancellationToken) {
        let mut events = self.client.watch_jobs();
        let mut is_failing = false;
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                None => return,
                Some(Ok(event)) => {
                    is_failing = false;
                    let now = self.clock.now();
                    self.cache.lock().apply_event(event, self.client.cron_job_name(), now);
                    self.changes.send_replace(());
                    // Pods are deleted with their Job, so their messages are read while they exist.
                    let failures = self.cache.lock().unrecorded_failures();
                    self.runs_of(&failures).await;
                }
                // Only the first of consecutive failures is logged: the stream restarts the watch.
                Some(Err(error)) => {
                    if !is_failing {
                        tracing::warn!(error = error_chain(&error), "cannot watch Jobs; showing the last known ones");
                    }
                    is_failing = true;
                }
            }
        }
    }

    /// All known runs. What Jobs show is current; what their pods show is at most [`READ_PERIOD`] old.
    pub(super) async fn runs(&self) -> Arc<[Run]> {
        let mut cached = self.runs.lock().await;
        let revision = self.cache.lock().revision();
        let is_recent = cached.read_at.is_some_and(|read_at| read_at.elapsed() < READ_PERIOD);
        if !is_recent || cached.revision != revision {
            let (jobs, removed) = self.cache.lock().all();
            let mut runs = self.runs_of(&jobs).await;
            runs.extend(removed);
            *cached = CachedRuns {
                // Taken after the response, so that readers that waited for a slow response share it.
                read_at: Some(Instant::now()),
                revision,
                runs: runs.into(),
            };
        }
        Arc::clone(&cached.runs)
    }

    /// Returns the run with this ID, even if another replica has just created its Job.
    pub(super) async fn find(&self, run_id: &RunId) -> Option<Run> {
        if let Some(run) = self.find_known(run_id).await {
            return Some(run);
        }
        self.list_jobs().await;
        self.find_known(run_id).await
    }

    /// Adds a Job that this replica has just created, and returns its run; none if the Job's name is not a run ID.
    pub(super) fn add_created(&self, job: Job) -> Option<Run> {
        // It has no pod yet.
        let run = status::run_of(&job, Some(&[]), self.clock.now());
        self.cache.lock().insert(Arc::new(job));
        run
    }

    /// Adds a Job that the watch may not have reported yet, and returns its run; none if the Job's name is not a run ID.
    pub(super) async fn add(&self, job: Job) -> Option<Run> {
        let job = Arc::new(job);
        self.cache.lock().insert(Arc::clone(&job));
        self.runs_of(&[job]).await.pop()
    }

    /// The name of the next Job, see [`JobCache::next_name`].
    pub(super) fn next_name(&self, cron_job: &DynamicObject, present: &[Job], used: &[RunId], parameters: &RunParameters) -> RunId {
        self.cache.lock().next_name(cron_job, present, used, parameters)
    }

    async fn find_known(&self, run_id: &RunId) -> Option<Run> {
        self.runs().await.iter().find(|run| run.run_id == *run_id).cloned()
    }

    /// Lists the Jobs, unless that was done after this call, and adds those that the watch has not reported yet.
    async fn list_jobs(&self) {
        let called_at = Instant::now();
        let mut listed_at = self.listed_at.lock().await;
        if listed_at.is_some_and(|at| at > called_at) {
            return;
        }
        if let Some(at) = *listed_at {
            sleep_until(at + READ_PERIOD).await;
        }
        *listed_at = Some(Instant::now());
        // The watch logs failures of the Kubernetes API.
        for job in self.client.list_jobs().await.unwrap_or_default() {
            self.cache.lock().insert(Arc::new(job));
        }
    }

    /// The runs of Jobs, with what their pods show. Records the failures among them.
    async fn runs_of(&self, jobs: &[Arc<Job>]) -> Vec<Run> {
        let recorded: Vec<Option<Run>> = {
            let cache = self.cache.lock();
            jobs.iter().map(|job| cache.failure(job)).collect()
        };
        let names: Vec<&str> = jobs
            .iter()
            .zip(&recorded)
            .filter(|(job, recorded)| recorded.is_none() && status::needs_pods(job))
            .filter_map(|(job, _)| job.metadata.name.as_deref())
            .collect();
        let pods = match names.as_slice() {
            [] => Some(Vec::new()),
            names => self.client.list_pods(names).await,
        };
        let now = self.clock.now();
        let run_of = |(job, recorded): (&Arc<Job>, Option<Run>)| {
            let run = recorded.or_else(|| status::run_of(job, pods.as_deref(), now))?;
            if pods.is_some() {
                self.cache.lock().record_failure(job, run.clone());
            }
            Some(run)
        };
        jobs.iter().zip(recorded).filter_map(run_of).collect()
    }
}
