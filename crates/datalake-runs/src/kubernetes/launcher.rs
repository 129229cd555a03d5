//! Runs as Jobs, made from the live CronJob's template: what an operator changed there holds for every run. The only place that names kube.
//!
//! A request is answered by a run that provably begins to read after the request arrived, see `join.rs`, else by another Job. A replica handles
//! one request at a time, so that requests of the same moment share a Job. Replicas that see the same Jobs and have the same request derive the
//! same name, so that one of them creates the Job and the others find it; otherwise each replica creates one at worst, which is safe.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use datalake_core::report::RunId;
use futures_util::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::Pod,
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::{self, watch};
use tokio_util::sync::CancellationToken;

use super::{
    job,
    job_cache::{self, Known},
    join::{self, Arrivals},
    refresh::Reads,
    schedule::Due,
    status,
};
use crate::{
    idempotency::IdempotencyKey,
    launcher::{ACTIVE_RUNS_MAX, LaunchError, Launched, NextRun, RunLauncher, RunRequest},
    run::Run,
};
use datalake_core::{clock::Clock, error_chain::error_chain};

/// The label by which Kubernetes tells a Job's pods.
pub(super) const JOB_NAME: &str = "batch.kubernetes.io/job-name";

/// An API server that is well answers within milliseconds; a client is told rather than kept.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// A name is taken only if another replica creates a Job at the same moment, which then answers the request in all but rare cases.
const NAMES_MAX: usize = 3;

/// Starts runs as Jobs. Cheap to clone; all clones share what is known.
#[derive(Clone)]
pub struct KubernetesLauncher {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) cron_job: String,
    pub(super) clock: Clock,
    pub(super) known: Mutex<Known>,
    pub(super) arrivals: Arrivals,
    /// Held by the request that may create a Job: the next one sees that Job.
    pub(super) turn: sync::Mutex<()>,
    pub(super) reads: Reads,
    /// Whether pods could not be listed when that was tried last.
    pub(super) are_pods_hidden: AtomicBool,
    pub(super) due: Mutex<Due>,
    pub(super) changes: watch::Sender<()>,
}

/// The cluster cannot be reached as this process is configured.
#[derive(Debug, thiserror::Error)]
#[error("there is neither a service account nor a kubeconfig that leads to a cluster")]
pub struct ConnectError(#[from] kube::Error);

impl fmt::Debug for KubernetesLauncher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesLauncher")
            .field("namespace", &self.shared.namespace)
            .field("cron_job", &self.shared.cron_job)
            .finish_non_exhaustive()
    }
}

impl KubernetesLauncher {
    /// As the pod's service account in its own namespace; outside of a cluster as the kubeconfig's user in its current one.
    pub async fn connect(cron_job: &str, clock: Clock) -> Result<Self, ConnectError> {
        Ok(Self::new(Client::try_default().await?, cron_job, clock))
    }

    /// Asks `client`, in its default namespace. Nothing is asked yet.
    pub fn new(client: Client, cron_job: &str, clock: Clock) -> Self {
        let shared = Shared {
            namespace: client.default_namespace().to_owned(),
            client,
            cron_job: cron_job.to_owned(),
            clock,
            known: Mutex::default(),
            arrivals: Arrivals::default(),
            turn: sync::Mutex::default(),
            reads: Reads::default(),
            are_pods_hidden: AtomicBool::new(false),
            due: Mutex::default(),
            changes: watch::Sender::new(()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Follows the namespace's Jobs until `shutdown`. Without it runs are started all the same; their ends are not noticed.
    pub async fn watch_jobs(&self, shutdown: CancellationToken) {
        let mut events = watcher(self.jobs(), watcher::Config::default()).default_backoff().boxed();
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
                    self.known().take_in(event, &self.shared.cron_job, self.shared.clock.now());
                    self.shared.changes.send_replace(());
                    // Pods go with their Job: their last words are heard while they are there.
                    let untold = self.known().untold();
                    self.runs_of(&untold).await;
                }
                // One line for a row of failures: the watch begins again by itself.
                Some(Err(error)) => {
                    if !is_failing {
                        tracing::warn!(
                            error = error_chain(&error),
                            "the cluster's Jobs cannot be followed; what is known of them is shown"
                        );
                    }
                    is_failing = true;
                }
            }
        }
    }

    pub(super) fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.shared.client.clone(), &self.shared.namespace)
    }

    /// Objects as raw JSON.
    fn raw(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.shared.client.clone(), &self.shared.namespace, resource)
    }

    pub(super) async fn live_cron_job(&self) -> Result<DynamicObject, LaunchError> {
        let cron_jobs = self.raw(&ApiResource::erase::<CronJob>(&()));
        let (name, namespace) = (&self.shared.cron_job, &self.shared.namespace);
        let found = ask("read the CronJob", cron_jobs.get_opt(name)).await?;
        found.ok_or_else(|| LaunchError::Failed {
            reason: format!("there is no CronJob to make a Job from; is the chart installed? cronjob={name}, namespace={namespace}"),
            source: None,
        })
    }

    /// The Jobs that belong to the CronJob, by whomever they were made, the newest last.
    pub(super) async fn list_own(&self) -> Result<Vec<Job>, LaunchError> {
        let mut jobs = ask("list Jobs", self.jobs().list(&ListParams::default())).await?.items;
        jobs.retain(|job| job_cache::is_own(job, &self.shared.cron_job));
        jobs.sort_by_key(job_cache::age_order);
        Ok(jobs)
    }

    /// Creates a Job for the request, or returns the run of a Job that another replica has created for the same request since the Jobs were
    /// listed.
    async fn start(&self, request: &RunRequest, cron_job: &DynamicObject, own: &[Job]) -> Result<Launched, LaunchError> {
        let mut taken = Vec::new();
        while taken.len() < NAMES_MAX {
            let generated = || self.known().name_after(cron_job, own, &taken, &request.parameters);
            let run_id = request.run_id.clone().unwrap_or_else(generated);
            if let Some(job) = self.create(cron_job, &run_id, request).await? {
                tracing::info!(run.id = %run_id, run.mode = request.parameters.mode.as_str(), "run started as a Job");
                return self.launched(job, true).await;
            }
            let present = ask("read the Job", self.jobs().get_opt(run_id.as_str())).await?;
            let present = present.filter(|job| job_cache::is_own(job, &self.shared.cron_job));
            match (present, &request.run_id) {
                (Some(job), Some(key)) => {
                    join::check_key(key, job::parameters_of(&job) == request.parameters)?;
                    return self.launched(job, false).await;
                }
                // No Job of this name was in the list that was taken after the request arrived, so this one reads later.
                (Some(job), None) if join::does(&job, cron_job, request) && join::may_succeed(&job) => {
                    return self.launched(job, false).await;
                }
                _ => taken.push(run_id),
            }
        }
        Err(LaunchError::Busy {
            reason: "Jobs of the same names are created at the same time; retry in a moment".to_owned(),
        })
    }

    /// The new Job; none if there is a Job of this name.
    async fn create(&self, cron_job: &DynamicObject, run_id: &RunId, request: &RunRequest) -> Result<Option<Job>, LaunchError> {
        let job = job::job_from(cron_job, run_id, &request.parameters).map_err(|error| LaunchError::Failed {
            reason: format!("no Job can be made from the CronJob {}", self.shared.cron_job),
            source: Some(error.into()),
        })?;
        let jobs = self.raw(&ApiResource::erase::<Job>(&()));
        let created = ask("make the Job", async {
            let params = PostParams {
                field_manager: Some(job::manager(request.trigger)),
                ..PostParams::default()
            };
            match jobs.create(&params, &job).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
                created => created.map(Some),
            }
        });
        let created = created.await?.map(DynamicObject::try_parse).transpose();
        created.map_err(|error| LaunchError::Failed {
            reason: "Kubernetes made the Job and gave an answer that cannot be understood".to_owned(),
            source: Some(error.into()),
        })
    }

    /// The runs of Jobs, with what their pods tell.
    pub(super) async fn runs_of(&self, jobs: &[Arc<Job>]) -> Vec<Run> {
        let told: Vec<Option<Run>> = {
            let known = self.known();
            jobs.iter().map(|job| known.told(job)).collect()
        };
        let names: Vec<&str> = jobs
            .iter()
            .zip(&told)
            .filter(|(job, told)| told.is_none() && status::needs_pods(job))
            .filter_map(|(job, _)| job.metadata.name.as_deref())
            .collect();
        let pods = if names.is_empty() {
            Some(Vec::new())
        } else {
            self.pods_of(&names).await
        };
        let now = self.shared.clock.now();
        let fold = |(job, told): (&Arc<Job>, Option<Run>)| {
            let run = told.or_else(|| status::run_of(job, pods.as_deref(), now))?;
            if pods.is_some() {
                self.known().tell(job, run.clone());
            }
            Some(run)
        };
        jobs.iter().zip(told).filter_map(fold).collect()
    }

    /// The pods of these Jobs; none where they cannot be had, since the Jobs themselves tell most.
    pub(super) async fn pods_of(&self, names: &[&str]) -> Option<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.shared.client.clone(), &self.shared.namespace);
        let selector = ListParams::default().labels(&format!("{JOB_NAME} in ({})", names.join(",")));
        match ask("list pods", pods.list(&selector)).await {
            Ok(pods) => {
                self.shared.are_pods_hidden.store(false, Ordering::Relaxed);
                Some(pods.items)
            }
            Err(error) => {
                // One line for a row of failures: this is asked each second.
                if !self.shared.are_pods_hidden.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        error = error_chain(&error),
                        "the pods of runs cannot be listed; what their Jobs tell is shown"
                    );
                }
                None
            }
        }
    }

    /// Deletes the Job once its pods have ended: until then it counts as an active run.
    async fn delete(&self, run_id: &RunId) -> Result<(), LaunchError> {
        let jobs = self.jobs();
        ask("delete the Job", async {
            match jobs.delete(run_id.as_str(), &DeleteParams::foreground()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                deleted => deleted.map(drop),
            }
        })
        .await
    }

    /// What the lock guards is replaced in single steps, so a panic elsewhere leaves it whole.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn launched(&self, job: Job, started: bool) -> Result<Launched, LaunchError> {
        let job = Arc::new(job);
        self.known().hold(Arc::clone(&job));
        let run = match started {
            // Nobody has made a pod for it yet.
            true => status::run_of(&job, Some(&[]), self.shared.clock.now()),
            false => self.runs_of(&[job]).await.pop(),
        };
        let run = run.ok_or_else(|| LaunchError::Failed {
            reason: "the Job's name is no run id".to_owned(),
            source: None,
        })?;
        Ok(Launched { run, started })
    }
}

#[async_trait]
impl RunLauncher for KubernetesLauncher {
    async fn launch(&self, request: RunRequest) -> Result<Launched, LaunchError> {
        // Before the turn: a Job that is created while this request waits for it may be joined.
        let arrival = self.arrive(request.arrived).await?;
        let turn = tokio::time::timeout(ANSWER_WAIT_MAX, self.shared.turn.lock()).await;
        let _turn = turn.map_err(|_| LaunchError::Busy {
            reason: "Kubernetes is slow to answer earlier requests for runs; retry in a moment".to_owned(),
        })?;
        let own = self.list_own().await?;
        if let Some(key) = &request.run_id
            && let Some(job) = join::of_key(&own, key, &request.parameters)?
        {
            return self.launched(job.clone(), false).await;
        }
        let cron_job = self.live_cron_job().await?;
        if let Some(job) = self.joinable(&own, &arrival, &cron_job, &request).await?
            && let Some(job) = self.join(job, &request).await?
        {
            return self.launched(job, false).await;
        }
        // The pod of a Job that was deleted may still be at work.
        let is_at_work = |job: &&Job| status::is_active(job) || status::is_leaving(job);
        if own.iter().filter(is_at_work).count() >= ACTIVE_RUNS_MAX {
            return Err(LaunchError::TooManyRuns);
        }
        self.start(&request, &cron_job, &own).await
    }

    fn run_id_of(&self, key: &IdempotencyKey) -> RunId {
        job::job_name(&self.shared.cron_job, &format!("key {}", key.as_str()))
    }

    async fn runs(&self) -> Vec<Run> {
        self.read_all().await.to_vec()
    }

    async fn find(&self, run_id: &RunId) -> Option<Run> {
        let find = async || self.read_all().await.iter().find(|run| run.run_id == *run_id).cloned();
        if let Some(run) = find().await {
            return Some(run);
        }
        // Another replica may have made it just now.
        self.look_around().await;
        find().await
    }

    async fn stop(&self, run_id: &RunId) -> Result<(), LaunchError> {
        let job = ask("read the Job", self.jobs().get_opt(run_id.as_str())).await?;
        // A namespace has other Jobs, too.
        if job.is_none_or(|job| !job_cache::is_own(&job, &self.shared.cron_job) || !status::is_active(&job)) {
            return Ok(());
        }
        self.delete(run_id).await
    }

    async fn next_run(&self) -> NextRun {
        self.due()
    }

    async fn previous_scheduled(&self, at: Timestamp) -> Option<Timestamp> {
        self.previous_scheduled_by(at)
    }

    fn changes(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }
}

/// The answer in time, or why there is none, in words.
pub(super) async fn ask<T>(what: &str, asking: impl Future<Output = kube::Result<T>>) -> Result<T, LaunchError> {
    let failed = |reason, source| Err(LaunchError::Failed { reason, source });
    match tokio::time::timeout(ANSWER_WAIT_MAX, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => failed(format!("Kubernetes refuses to {what}: {}", status.message), None),
        Ok(Err(error)) => failed(format!("the Kubernetes API cannot be asked to {what}"), Some(error.into())),
        Err(_) => failed(
            format!(
                "the Kubernetes API did not answer within {} s when asked to {what}",
                ANSWER_WAIT_MAX.as_secs()
            ),
            None,
        ),
    }
}
