//! Requests to the Kubernetes API about one CronJob, its Jobs and their pods. Jobs that do not belong to the CronJob are never returned.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use datalake_core::error_chain::error_chain;
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::Pod,
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;

use super::job;
use crate::launcher::LaunchError;

/// The Kubernetes API normally responds within milliseconds. After this time the client gets an error.
pub(super) const RESPONSE_WAIT_MAX: Duration = Duration::from_secs(10);

/// A client of the Kubernetes API for the CronJob of one lake.
pub(super) struct ClusterClient {
    client: Client,
    namespace: String,
    cron_job: String,
    /// Whether the last attempt to list pods failed.
    is_pod_list_failing: AtomicBool,
}

impl ClusterClient {
    /// Sends requests with `client`, for its default namespace.
    pub(super) fn new(client: Client, cron_job: &str) -> Self {
        Self {
            namespace: client.default_namespace().to_owned(),
            client,
            cron_job: cron_job.to_owned(),
            is_pod_list_failing: AtomicBool::new(false),
        }
    }

    /// The namespace of the CronJob.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name of the CronJob.
    pub(super) fn cron_job_name(&self) -> &str {
        &self.cron_job
    }

    /// The CronJob as raw JSON, so that fields that this program does not know are kept.
    pub(super) async fn get_cron_job(&self) -> Result<DynamicObject, LaunchError> {
        let cron_jobs = self.raw(&ApiResource::erase::<CronJob>(&()));
        let found = request("read the CronJob", cron_jobs.get_opt(&self.cron_job)).await?;
        found.ok_or_else(|| LaunchError::Failed {
            reason: format!(
                "CronJob {} not found in namespace {}; install the chart, or set --cronjob to the name of its CronJob",
                self.cron_job, self.namespace
            ),
            source: None,
        })
    }

    /// The CronJob's Jobs, in ascending order of creation. The list is consistent: it has every Job that was created before the call.
    pub(super) async fn list_jobs(&self) -> Result<Vec<Job>, LaunchError> {
        let mut jobs = request("list Jobs", self.jobs().list(&ListParams::default())).await?.items;
        jobs.retain(|job| self.owns(job));
        jobs.sort_by_key(job::creation_order);
        Ok(jobs)
    }

    /// The CronJob's Job of that name.
    pub(super) async fn get_job(&self, name: &str) -> Result<Option<Job>, LaunchError> {
        let found = request("read the Job", self.jobs().get_opt(name)).await?;
        Ok(found.filter(|job| self.owns(job)))
    }

    /// Creates the Job; none if a Job of this name exists.
    pub(super) async fn create_job(&self, job: &DynamicObject, field_manager: String) -> Result<Option<Job>, LaunchError> {
        let jobs = self.raw(&ApiResource::erase::<Job>(&()));
        let params = PostParams {
            field_manager: Some(field_manager),
            ..PostParams::default()
        };
        let created = request("create the Job", async {
            match jobs.create(&params, job).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
                created => created.map(Some),
            }
        });
        let created = created.await?.map(DynamicObject::try_parse).transpose();
        created.map_err(|error| LaunchError::Failed {
            reason: "Kubernetes created the Job, but its response is invalid".to_owned(),
            source: Some(error.into()),
        })
    }

    /// Adds an annotation to the Job.
    pub(super) async fn annotate_job(&self, job: &Job, annotation: &str, value: &str) -> Result<(), LaunchError> {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        // The uid is a precondition: a later Job of the same name is another run.
        let patch = json!({ "metadata": { "uid": job.metadata.uid, "annotations": { annotation: value } } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        request("annotate the Job", self.jobs().patch(name, &params, &patch))
            .await
            .map(drop)
    }

    /// Deletes the Job after its pods, so that it counts as an active run until they have ended.
    pub(super) async fn delete_job(&self, name: &str) -> Result<(), LaunchError> {
        let jobs = self.jobs();
        request("delete the Job", async {
            match jobs.delete(name, &DeleteParams::foreground()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                deleted => deleted.map(drop),
            }
        })
        .await
    }

    /// The pods of these Jobs in a consistent list; none if they cannot be listed. Callers can then still use what the Jobs show.
    pub(super) async fn list_pods(&self, jobs: &[&str]) -> Option<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let selector = ListParams::default().labels(&format!("{} in ({})", job::JOB_NAME_LABEL, jobs.join(",")));
        match request("list pods", pods.list(&selector)).await {
            Ok(pods) => {
                self.is_pod_list_failing.store(false, Ordering::Relaxed);
                Some(pods.items)
            }
            Err(error) => {
                // Only the first of consecutive failures is logged: pods are listed once per second.
                if !self.is_pod_list_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error = error_chain(&error), "cannot list pods; showing what the Jobs report");
                }
                None
            }
        }
    }

    /// Changes of the namespace's Jobs, those of others included. The stream restarts the watch after a failure.
    pub(super) fn watch_jobs(&self) -> impl Stream<Item = watcher::Result<watcher::Event<Job>>> + Send + Unpin + use<> {
        watcher(self.jobs(), watcher::Config::default()).default_backoff().boxed()
    }

    fn owns(&self, job: &Job) -> bool {
        job::is_owned_by(job, &self.cron_job)
    }

    fn jobs(&self) -> Api<Job> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn raw(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }
}

/// The response of the Kubernetes API, or an error if there is none within [`RESPONSE_WAIT_MAX`]. `what` completes the sentence "cannot …".
async fn request<T>(what: &str, response: impl Future<Output = kube::Result<T>>) -> Result<T, LaunchError> {
    let failed = |reason, source| Err(LaunchError::Failed { reason, source });
    match tokio::time::timeout(RESPONSE_WAIT_MAX, response).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(kube::Error::Api(status))) => failed(format!("cannot {what}: {}", status.message), None),
        Ok(Err(error)) => failed(
            format!("cannot {what}: the request to the Kubernetes API failed"),
            Some(error.into()),
        ),
        Err(_) => failed(
            format!(
                "cannot {what}: the Kubernetes API did not respond within {} s",
                RESPONSE_WAIT_MAX.as_secs()
            ),
            None,
        ),
    }
}
