//! Starts runs as Jobs from the live CronJob's template, so that an operator's change of the CronJob applies to every run.
//!
//! A request joins a run that provably starts to read after the request arrived (see `join.rs`), or else starts another Job. A replica handles one
//! request at a time, so that simultaneous requests share a Job. Replicas that see the same Jobs and have the same request derive the same name, so
//! that one of them creates the Job and the others find it. Otherwise each replica creates at most one Job, which is safe.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datalake_core::{clock::Clock, run::RunId};
use futures_util::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::{Client, api::DynamicObject};
use tokio::sync::{self, watch};
use tokio_util::sync::CancellationToken;

use super::{
    client::{ClusterClient, RESPONSE_WAIT_MAX},
    job,
    join::{self, Arrivals},
    observer::RunObserver,
    schedule::ScheduleCache,
    status,
};
use crate::{
    idempotency::IdempotencyKey,
    launcher::{ACTIVE_RUNS_MAX, LaunchError, Launched, NextRun, RunLauncher, RunRequest},
    run::Run,
};

/// A name is in use only if another replica creates a Job at the same moment, and the request can nearly always join that Job.
const NAMES_MAX: usize = 3;

/// Starts runs as Jobs. Cheap to clone; all clones share the caches.
#[derive(Clone)]
pub struct KubernetesLauncher {
    shared: Arc<Shared>,
}

struct Shared {
    client: Arc<ClusterClient>,
    observer: RunObserver,
    schedule: Arc<ScheduleCache>,
    arrivals: Arrivals,
    /// Locked by the request that may create a Job, so that the next request sees that Job.
    launching: sync::Mutex<()>,
    changes: watch::Sender<()>,
}

/// This process has no usable configuration of a cluster.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to Kubernetes: neither a service account nor a kubeconfig names a cluster")]
pub struct ConnectError(#[from] kube::Error);

impl fmt::Debug for KubernetesLauncher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesLauncher")
            .field("namespace", &self.shared.client.namespace())
            .field("cron_job", &self.shared.client.cron_job_name())
            .finish_non_exhaustive()
    }
}

impl KubernetesLauncher {
    /// Connects as the pod's service account, in its namespace; outside of a cluster, as the kubeconfig's user, in its current namespace.
    ///
    /// The future is boxed, so that this crate compiles the code for the types of Kubernetes, and not each crate that awaits it.
    pub fn connect(cron_job: &str, clock: Clock) -> BoxFuture<'_, Result<Self, ConnectError>> {
        async move { Ok(Self::new(Client::try_default().await?, cron_job, clock)) }.boxed()
    }

    /// Uses `client` and its default namespace. Sends no request yet.
    pub fn new(client: Client, cron_job: &str, clock: Clock) -> Self {
        let client = Arc::new(ClusterClient::new(client, cron_job));
        let changes = watch::Sender::new(());
        let shared = Shared {
            observer: RunObserver::new(Arc::clone(&client), clock, changes.clone()),
            schedule: Arc::new(ScheduleCache::new(Arc::clone(&client), clock, changes.clone())),
            client,
            arrivals: Arrivals::default(),
            launching: sync::Mutex::default(),
            changes,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Watches the Jobs until `shutdown`. Without the watch, runs can be started, but their ends are not noticed.
    pub fn watch_jobs(&self, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        self.shared.observer.watch_jobs(shutdown).boxed()
    }

    /// Creates a Job for the request, or returns the run of a Job that another replica has created for the same request since `present` was
    /// listed.
    async fn start(&self, request: &RunRequest, cron_job: &DynamicObject, present: &[Job]) -> Result<Launched, LaunchError> {
        let client = &self.shared.client;
        let mut used = Vec::new();
        while used.len() < NAMES_MAX {
            let generated = || self.shared.observer.next_name(cron_job, present, &used, &request.parameters);
            let run_id = request.run_id.clone().unwrap_or_else(generated);
            let job = job::from_template(cron_job, &run_id, &request.parameters).map_err(|error| LaunchError::Failed {
                reason: format!("cannot create a Job from CronJob {}", client.cron_job_name()),
                source: Some(error.into()),
            })?;
            if let Some(job) = client.create_job(&job, job::field_manager(request.trigger)).await? {
                tracing::info!(run.id = %run_id, run.mode = request.parameters.mode.as_str(), "run started");
                return started(self.shared.observer.add_created(job));
            }
            match (client.get_job(run_id.as_str()).await?, &request.run_id) {
                (Some(job), Some(key)) => {
                    join::check_key(key, job::parameters_of(&job) == request.parameters)?;
                    return self.joined(job).await;
                }
                // The list, taken after the request arrived, had no Job of this name, so this Job reads later.
                (Some(job), None) if join::includes(&job, cron_job, request) && join::may_succeed(&job) => {
                    return self.joined(job).await;
                }
                _ => used.push(run_id),
            }
        }
        Err(LaunchError::Busy {
            reason: "other replicas create Jobs with the same names; retry".to_owned(),
        })
    }

    async fn joined(&self, job: Job) -> Result<Launched, LaunchError> {
        let run = self.shared.observer.add(job).await.ok_or_else(invalid_name)?;
        Ok(Launched { run, started: false })
    }
}

#[async_trait]
impl RunLauncher for KubernetesLauncher {
    async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError> {
        let client = &self.shared.client;
        // Before the lock: a Job that is created while this request waits for the lock may be joined.
        let arrival = self.shared.arrivals.list(client, request.arrived).await?;
        let launching = tokio::time::timeout(RESPONSE_WAIT_MAX, self.shared.launching.lock()).await;
        let _launching = launching.map_err(|_| LaunchError::Busy {
            reason: "earlier requests for runs still wait for Kubernetes; retry".to_owned(),
        })?;
        let present = client.list_jobs().await?;
        if let Some(key) = &request.run_id
            && let Some(job) = join::find_by_key(&present, key, &request.parameters)?
        {
            return self.joined(job.clone()).await;
        }
        let cron_job = client.get_cron_job().await?;
        if let Some(job) = join::find_joinable(client, &present, &arrival, &cron_job, &request).await?
            && let Some(job) = join::join(client, job, &request).await?
        {
            return self.joined(job).await;
        }
        // The pod of a Job that is being deleted may still be running.
        let may_run = |job: &&Job| status::is_active(job) || status::is_terminating(job);
        if present.iter().filter(may_run).count() >= ACTIVE_RUNS_MAX {
            return Err(LaunchError::TooManyRuns);
        }
        Box::pin(self.start(&request, &cron_job, &present)).await
    }

    fn run_id_of(&self, key: &IdempotencyKey) -> RunId {
        job::job_name(self.shared.client.cron_job_name(), &format!("key {}", key.as_str()))
    }

    async fn runs(&self) -> Vec<Run> {
        self.shared.observer.runs().await.to_vec()
    }

    async fn find(&self, run_id: &RunId) -> Option<Run> {
        self.shared.observer.find(run_id).await
    }

    async fn stop(&self, run_id: &RunId) -> Result<(), LaunchError> {
        match self.shared.client.get_job(run_id.as_str()).await? {
            Some(job) if status::is_active(&job) => self.shared.client.delete_job(run_id.as_str()).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn next_run(&self) -> NextRun {
        self.shared.schedule.next_run()
    }

    async fn previous_scheduled(&self, at: Timestamp) -> Option<Timestamp> {
        self.shared.schedule.previous_scheduled(at)
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }
}

fn started(run: Option<Run>) -> Result<Launched, LaunchError> {
    let run = run.ok_or_else(invalid_name)?;
    Ok(Launched { run, started: true })
}

fn invalid_name() -> LaunchError {
    LaunchError::Failed {
        reason: "the name of the Job is not a run ID".to_owned(),
        source: None,
    }
}
