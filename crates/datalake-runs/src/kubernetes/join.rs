//! Which run answers a request that arrives while runs are active: one that provably begins to read after the request arrived.
//!
//! The proof is a consistent read: the Job is absent from a list taken on arrival; or no pod of the Job is bound to a node by a list taken after
//! the arrival, and the Job, read after that list, is active and has counted no pod. The watch, states and times prove nothing: they may be old.

use std::{collections::BTreeSet, sync::Arc};

use datalake_core::report::RunId;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::json;
use tokio::sync::Mutex;

use super::job;
use crate::kubernetes::{
    launcher::{KubernetesLauncher, ask},
    status,
};
use crate::{
    launcher::{LaunchError, LogicalTime, RunRequest},
    run::RunParameters,
};
use datalake_core::error_chain::error_chain;

/// Begins the name of the annotations that record the keys that joined a Job; the admission policy lets the API add these alone.
const JOINED: &str = "datalake/joined-";

/// The last list that was taken for arrivals, and when it began. Requests that arrived before share it.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<Option<(LogicalTime, Arrival)>>);

/// The uids of the Jobs that existed at some time after a request arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival(Arc<BTreeSet<String>>);

impl Arrival {
    fn new(present: &[Job]) -> Self {
        Self(Arc::new(present.iter().filter_map(|job| job.metadata.uid.clone()).collect()))
    }

    /// Whether the Job was created after the request arrived.
    fn precedes(&self, job: &Job) -> bool {
        job.metadata.uid.as_ref().is_some_and(|uid| !self.0.contains(uid))
    }
}

impl KubernetesLauncher {
    /// The Jobs that exist, by a list that begins after the request arrived.
    pub(super) async fn arrive(&self, arrived: LogicalTime) -> Result<Arrival, LaunchError> {
        let mut last = self.shared.arrivals.0.lock().await;
        if let Some((begun, arrival)) = &*last
            && arrived < *begun
        {
            return Ok(arrival.clone());
        }
        let begun = LogicalTime::now();
        let arrival = Arrival::new(&self.list_own().await?);
        *last = Some((begun, arrival.clone()));
        Ok(arrival)
    }

    /// The Job whose run answers the request. `own` was listed after `arrival`.
    pub(super) async fn joinable(
        &self,
        own: &[Job],
        arrival: &Arrival,
        cron_job: &DynamicObject,
        request: &RunRequest,
    ) -> Result<Option<Job>, LaunchError> {
        let mut candidates: Vec<&Job> = own.iter().rev().filter(|job| does(job, cron_job, request)).collect();
        if !request.trigger.needs_later_read() {
            return Ok(candidates.into_iter().find(|job| status::is_active(job)).cloned());
        }
        if let Some(job) = candidates.iter().find(|job| arrival.precedes(job) && may_succeed(job)) {
            return Ok(Some((*job).clone()));
        }
        candidates.retain(|job| status::has_no_pod_counted(job));
        let names: Vec<&str> = candidates.iter().filter_map(|job| job.metadata.name.as_deref()).collect();
        if names.is_empty() {
            return Ok(None);
        }
        // The order of the two reads is the proof: a pod that has ended before the list was counted before the Job is read.
        let Some(pods) = self.pods_of(&names).await else {
            return Ok(None);
        };
        for (candidate, name) in candidates.iter().zip(&names) {
            if pods.iter().any(|pod| status::is_pod_of(pod, name) && is_bound(pod)) {
                continue;
            }
            let present = ask("read the Job", self.jobs().get_opt(name)).await?;
            let is_same = |job: &Job| job.metadata.uid == candidate.metadata.uid;
            if let Some(job) = present.filter(|job| is_same(job) && status::has_no_pod_counted(job)) {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Joins the Job with the request. A key is recorded on the Job first, so that every replica knows it; if that is impossible, the key is to
    /// get a run of its own.
    pub(super) async fn join(&self, job: Job, request: &RunRequest) -> Result<Option<Job>, LaunchError> {
        let Some(key) = request.run_id.as_ref().filter(|_| request.trigger.needs_later_read()) else {
            return Ok(Some(job));
        };
        if !self.record_joined(&job, key, &request.parameters).await {
            return Ok(None);
        }
        // Another replica may have started the key's own run since the Jobs were listed; that run is what later requests find.
        match ask("read the Job", self.jobs().get_opt(key.as_str())).await? {
            Some(named) => check_key(key, job::parameters_of(&named) == request.parameters).map(|()| Some(named)),
            None => Ok(Some(job)),
        }
    }

    async fn record_joined(&self, job: &Job, key: &RunId, requested: &RunParameters) -> bool {
        let name = job.metadata.name.as_deref().unwrap_or_default();
        // The uid is a precondition: a later Job of the same name is another run.
        let patch = json!({ "metadata": { "uid": job.metadata.uid, "annotations": { annotation(key): value(requested) } } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        match ask("annotate the Job", self.jobs().patch(name, &params, &patch)).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(
                    run.id = name,
                    error = error_chain(&error),
                    "idempotency key not recorded on the Job; it gets a run of its own"
                );
                false
            }
        }
    }
}

/// Whether the Job's run does what the request asks for.
pub(super) fn does(job: &Job, cron_job: &DynamicObject, request: &RunRequest) -> bool {
    !status::is_suspended(job) && job::parameters_of(job).cover(&request.parameters) && job::runs_like(job, cron_job)
}

/// Whether the Job's run has succeeded or may do so.
pub(super) fn may_succeed(job: &Job) -> bool {
    status::is_active(job) || status::is_complete(job) && job.metadata.deletion_timestamp.is_none()
}

/// The Job that the key started or joined.
pub(super) fn of_key<'a>(own: &'a [Job], key: &RunId, requested: &RunParameters) -> Result<Option<&'a Job>, LaunchError> {
    if let Some(job) = own.iter().find(|job| job.metadata.name.as_deref() == Some(key.as_str())) {
        return check_key(key, job::parameters_of(job) == *requested).map(|()| Some(job));
    }
    let annotation = annotation(key);
    let recorded = |job: &'a Job| Some((job, job.metadata.annotations.as_ref()?.get(&annotation)?));
    match own.iter().find_map(recorded) {
        Some((job, recorded)) => {
            let run_id = job.metadata.name.as_deref().and_then(|name| RunId::parse(name).ok());
            check_key(run_id.as_ref().unwrap_or(key), *recorded == value(requested)).map(|()| Some(job))
        }
        None => Ok(None),
    }
}

/// A key stands for one request: its body cannot change.
pub(super) fn check_key(run_id: &RunId, is_same_request: bool) -> Result<(), LaunchError> {
    let run_id = run_id.clone();
    is_same_request.then_some(()).ok_or(LaunchError::KeyReused { run_id })
}

/// The annotation of a key: the part of its run ID that is the key's own.
fn annotation(key: &RunId) -> String {
    let (_, own) = key.as_str().rsplit_once('-').unwrap_or(("", key.as_str()));
    format!("{JOINED}{own}")
}

/// What the annotation records of the request.
fn value(requested: &RunParameters) -> String {
    let mode = requested.mode.as_str();
    match &requested.allow_mass_delete_of {
        None => json!({ "mode": mode }).to_string(),
        Some(run_id) => json!({ "mode": mode, "allow_mass_delete_of": run_id.as_str() }).to_string(),
    }
}

/// Whether a node has the pod, so that its container may have begun.
fn is_bound(pod: &Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_some_and(|node| !node.is_empty())
}
